"""Copy packed images to a node's local disk, once for all processes on it."""

from __future__ import annotations

import errno
import logging
import math
import shutil
from pathlib import Path

from heritage.core.files import atomic_path
from heritage.core.locks import locked
from heritage.core.packed_images import INDEX_FILE, PackedImages, file_sha256
from heritage.errors import DataError

log = logging.getLogger(__name__)

_MIB = 2**20


def stage(source: Path, parent: Path) -> Path:
    """Return a copy of a packed folder on another disk, after making it if it does not exist.

    Concurrent processes wait for the first one. Every shard is verified after copying; intact shards of an
    interrupted copy are kept. The index is copied last.

    Args:
        source: The packed folder.
        parent: The folder of all copies; each has a subfolder named after the data set's fingerprint.

    Raises:
        ConfigError: The folder cannot be written.
        DataError: The disk is too small, or a copy has another checksum than its source.
    """
    images = PackedImages.open(source)
    target = parent.expanduser() / f"heritage-{images.fingerprint[:16]}-{images.side}"
    with locked(target.with_name(f"{target.name}.lock"), patience=math.inf):
        if not _is_complete(target, images):
            _copy(source, target, images)
    return target


def _is_complete(target: Path, images: PackedImages) -> bool:
    if not (target / INDEX_FILE).is_file():
        return False
    try:
        copy = PackedImages.open(target)
    except DataError:
        return False  # incomplete after a full disk or a clean-up: copy the missing shards
    return copy.fingerprint == images.fingerprint and copy.shards == images.shards


def _copy(source: Path, target: Path, images: PackedImages) -> None:
    missing = [shard for shard in images.shards if not _is_intact(target / shard.file, shard.sha256)]
    needed = sum((source / shard.file).stat().st_size for shard in missing)
    target.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(target).free
    if needed > free:
        raise _too_small(target, needed, free)
    log.info("staging %s MiB from %s to %s", f"{needed / _MIB:,.0f}", source, target)
    for shard in missing:
        try:
            with atomic_path(target / shard.file) as temporary:
                shutil.copyfile(source / shard.file, temporary)
                if file_sha256(temporary) != shard.sha256:
                    raise DataError(
                        "its checksum is wrong after copying",
                        where=target / shard.file,
                        remedy="try again; if it persists, pack the data set again or use another disk",
                    )
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise _too_small(target, needed, shutil.disk_usage(target).free) from error
            raise DataError(
                f"cannot be written ({error.strerror})", where=target, remedy="set data.stage to another disk"
            ) from error
    with atomic_path(target / INDEX_FILE) as temporary:
        shutil.copyfile(source / INDEX_FILE, temporary)


def _is_intact(file: Path, sha256: str) -> bool:
    return file.is_file() and file_sha256(file) == sha256


def _too_small(target: Path, needed: int, free: int) -> DataError:
    return DataError(
        f"staging needs {needed / _MIB:,.0f} MiB and {free / _MIB:,.0f} MiB are free",
        where=target,
        remedy="remove older copies there, set data.stage to another disk, or leave it out",
    )
