"""Write the images of a data set as packed images, shard by shard, in parallel."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

from heritage.core.bounded_read import read_bounded
from heritage.core.image_io import Pixels, decode
from heritage.core.manifest import Manifest
from heritage.core.packed_images import (
    INDEX_FILE,
    PackedImages,
    Shard,
    ShardPlan,
    plan_shards,
    remove_other_shards,
    require_space,
    write_index,
    write_shard,
)
from heritage.core.processes import map_in_processes
from heritage.core.progress import Progress
from heritage.errors import DataError, ImageError

log = logging.getLogger(__name__)

FOLDER = "packed"


def pack(kept: Manifest, out: Path, side: int, workers: int) -> None:
    """Write the images of a data set to ``packed/``. Intact shards of an earlier build are kept.

    Args:
        kept: The data set's manifest.
        out: Its folder.
        side: Pixels per side.
        workers: Number of processes; each writes one shard at a time.

    Raises:
        DataError: The disk is too small or full.
        ImageError: An image is damaged, or of another size.
    """
    folder = out / FOLDER
    folder.mkdir(exist_ok=True)
    plans = plan_shards(folder, [out / file for file in kept.column("file")], kept.column("sha256"), side)
    remove_other_shards(folder, plans)
    needed = require_space(folder, plans)
    log.info("packing %s images: %.2f GiB to write", f"{len(kept):,}", needed / 2**30)
    shards: dict[str, Shard] = {}
    try:
        with Progress("packing", len(kept)) as progress:
            for shard in map_in_processes(_write_shard, plans, min(workers, len(plans))):
                shards[shard.file] = shard
                progress.advance(shard.rows)
        ordered = [shards[plan.path.name] for plan in plans]
        write_index(folder, ordered, kept.column("image_id"), kept.fingerprint, side)
    except OSError as error:
        raise DataError(
            f"cannot write ({error.strerror or error})",
            where=folder,
            remedy="free some space and start again: finished shards are kept",
        ) from error


def log_required_space(out: Path, photographs: int, side: int) -> None:
    """Log the disk space that packing takes at most, before the long work starts."""
    needed = photographs * side**2 * 3
    folder = out / FOLDER
    existing = sum(path.stat().st_size for path in folder.glob("*.npy")) if folder.is_dir() else 0
    free = shutil.disk_usage(out).free + existing
    level = logging.WARNING if needed > free else logging.INFO
    log.log(
        level, "packing will take up to %.2f GiB, and %.2f GiB are free for it", needed / 2**30, free / 2**30
    )


def warn_if_stale(kept: Manifest, out: Path) -> None:
    """Warn if there are packed images of another version of the data set, which are not read."""
    folder = out / FOLDER
    if not (folder / INDEX_FILE).is_file():
        return
    try:
        stale = PackedImages.open(folder).fingerprint != kept.fingerprint
    except DataError:
        stale = True
    if stale:
        log.warning(
            "%s was made before this build and is not read: pack again (pack=true) or remove it", folder
        )


def _write_shard(plan: ShardPlan) -> Shard:
    return write_shard(plan, _images(plan))


def _images(plan: ShardPlan) -> Iterator[Pixels]:
    for path in plan.sources:
        image = decode(read_bounded(path), name=path)
        if image.shape != (plan.side, plan.side, 3):
            raise ImageError(
                f"it has {image.shape[1]}×{image.shape[0]} pixels and not {plan.side}×{plan.side}",
                where=path,
                remedy="curate again",
            )
        yield image
