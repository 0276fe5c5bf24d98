"""The folder of configuration files, and atomic writing."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from heritage.core.disk import full_disk_as_os_error
from heritage.errors import ConfigError

PACKAGE = Path(__file__).resolve().parent.parent

LFS_POINTER = b"version https://git-lfs.github.com/spec/"
"""The beginning of the file that Git leaves in place of a large one that was not downloaded."""


def config_dir() -> Path:
    """Return the folder of configuration files.

    It is inside the package of an installed wheel, and beside it in a checkout.

    Raises:
        ConfigError: It is in neither place: the installation is damaged.
    """
    for folder in (PACKAGE / "conf", PACKAGE.parent / "conf"):
        if (folder / "train.yaml").is_file():
            return folder
    raise ConfigError(
        "the configuration files are missing", where=PACKAGE, remedy="install the package again"
    )


@contextlib.contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path that is renamed to ``target`` when the block succeeds.

    The data are synced before the rename, so after a crash there is either the complete old file or the
    complete new one. An exception in the block removes the temporary file and leaves the old one unchanged.

    Raises:
        OSError: The disk is full, whatever the library that writes in the block raises for it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=target.suffix, dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        with full_disk_as_os_error(target):
            yield temporary
            temporary.chmod(0o666 & ~_umask())
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(target: Path, text: str) -> None:
    """Write a text file atomically, as UTF-8; bytes of file names that are no UTF-8 are escaped."""
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def _umask() -> int:
    # mkstemp makes files private; the mask can only be read by setting it.
    mask = os.umask(0)
    os.umask(mask)
    return mask
