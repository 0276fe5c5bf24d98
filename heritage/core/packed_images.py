"""Pre-decoded images in memory-mapped files.

A packed folder holds shards ``shard-00000-<digest>.npy`` of shape (n, side, side, 3), uint8, and
``index.json`` with the format's version, the side, the data set's fingerprint, the images' ids in order, and
the rows and SHA-256 of each shard. The index is written last and has its own checksum; without it the folder
is not valid. The digest in a shard's name is that of its source images, so that interrupted packing can be
resumed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import ConfigDict

from heritage.core.files import atomic_path, write_text
from heritage.core.image_io import Pixels
from heritage.core.json_files import JsonModel, read_json_file
from heritage.errors import DataError, DatasetNotFoundError, ImageError

log = logging.getLogger(__name__)

VERSION = 1
INDEX_FILE = "index.json"

_SHARD_NAME = re.compile(r"shard-[0-9]{5,}-[0-9a-f]+\.npy")
_SHARD_BYTES = 1 << 30
_HEADER = 128  # of a .npy file of these shapes


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard in the index: its file name, number of images, and SHA-256."""

    file: str
    rows: int
    sha256: str


class _ShardRecord(JsonModel):
    model_config = ConfigDict(extra="forbid")
    file: str
    rows: int
    sha256: str


class _IndexRecord(JsonModel):
    version: int
    fingerprint: str
    side: int
    shards: list[_ShardRecord]
    image_ids: list[str]


class _IndexFile(JsonModel):
    sha256: str
    index: _IndexRecord


class PackedImages:
    """Pre-decoded images of one size, read as views of memory-mapped files.

    Files are mapped on first use, so instances are cheap to pickle.

    Attributes:
        folder: The packed folder.
        image_ids: The id of each image.
        fingerprint: The fingerprint of the data set.
        side: Pixels per side.
        shards: The shards, in order.
    """

    def __init__(self, folder: Path, index: dict[str, Any]) -> None:
        self.folder = folder
        self.image_ids: tuple[str, ...] = tuple(index["image_ids"])
        self.fingerprint: str = index["fingerprint"]
        self.side: int = index["side"]
        self.shards = tuple(Shard(**shard) for shard in index["shards"])
        self._ends = np.cumsum([shard.rows for shard in self.shards])
        self._maps: list[Pixels | None] = [None] * len(self.shards)

    @classmethod
    def open(cls, folder: Path) -> PackedImages:
        """Open a packed folder. The sizes of its files are checked here, their contents by `verify`.

        Raises:
            DatasetNotFoundError: There are no packed images.
            DataError: They are damaged, or of another version of the format.
        """
        path = folder / INDEX_FILE
        if not path.is_file():
            raise DatasetNotFoundError(
                f"no packed images (no {INDEX_FILE})",
                where=folder,
                remedy="make them with `heritage curate pack=true`",
            )
        try:
            index = _read_index(path)
        except (OSError, ValueError) as error:
            raise DataError(f"unreadable: {error}", where=path, remedy="pack it again") from error
        images = cls(folder, index)
        if not images._is_plausible():
            raise DataError("its index names other files, or wrong sizes", where=path, remedy="pack it again")
        for shard in images.shards:
            file = folder / shard.file
            if not file.is_file() or file.stat().st_size != _size(shard.rows, images.side):
                raise DataError("missing or truncated", where=file, remedy="pack it again")
        return images

    def __len__(self) -> int:
        return len(self.image_ids)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_maps": [None] * len(self.shards)}

    def read(self, row: int) -> Pixels:
        """Return an image as a read-only view of shape (side, side, 3).

        Raises:
            IndexError: There is no such row.
        """
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        number = int(np.searchsorted(self._ends, row, side="right"))
        shard = self._maps[number]
        if shard is None:
            shard = self._map(number)
        image: Pixels = shard[row - int(self._ends[number]) + len(shard)]
        return image

    def rows_of(self, image_ids: Iterable[str]) -> npt.NDArray[np.int64]:
        """Return the rows of images, given their ids.

        Raises:
            DataError: An image is not packed.
        """
        place = {name: row for row, name in enumerate(self.image_ids)}
        try:
            return np.array([place[name] for name in image_ids], dtype=np.int64)
        except KeyError as error:
            raise DataError(
                f"{error} is not packed", where=self.folder, remedy="pack the data set again"
            ) from error

    def verify(self) -> None:
        """Compare the checksums of all shards.

        Raises:
            ImageError: A shard is damaged.
        """
        for shard in self.shards:
            if file_sha256(self.folder / shard.file) != shard.sha256:
                raise ImageError(
                    "its checksum is wrong", where=self.folder / shard.file, remedy="pack it again"
                )

    def _is_plausible(self) -> bool:
        """Return whether shards are files of this folder, and sizes are numbers that fit each other."""
        numbers = [self.side, *(shard.rows for shard in self.shards)]
        return (
            all(type(number) is int and number > 0 for number in numbers)
            and all(_SHARD_NAME.fullmatch(shard.file) for shard in self.shards)
            and sum(shard.rows for shard in self.shards) == len(self.image_ids)
        )

    def _map(self, number: int) -> Pixels:
        shard = self.shards[number]
        path = self.folder / shard.file
        try:
            mapped = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise ImageError(f"unreadable ({error})", where=path, remedy="pack it again") from error
        if mapped.shape != (shard.rows, self.side, self.side, 3) or mapped.dtype != np.uint8:
            raise ImageError("not a shard of its index", where=path, remedy="pack it again")
        # A plain array on top of the map: slicing np.memmap is ten times slower.
        view: Pixels = mapped.view(np.ndarray)
        self._maps[number] = view
        return view


@dataclass(frozen=True, slots=True)
class ShardPlan:
    """A shard to write.

    Attributes:
        path: Its file.
        sources: The image files.
        side: Pixels per side.
        sha256: Its checksum in an earlier index, or empty.
    """

    path: Path
    sources: tuple[Path, ...]
    side: int
    sha256: str = ""

    @property
    def bytes(self) -> int:
        """The size of its file."""
        return _size(len(self.sources), self.side)

    @property
    def exists(self) -> bool:
        """Whether a file of its name and size exists."""
        return self.path.is_file() and self.path.stat().st_size == self.bytes


def plan_shards(
    folder: Path,
    sources: Sequence[Path],
    checksums: Sequence[str],
    side: int,
    shard_bytes: int = _SHARD_BYTES,
) -> list[ShardPlan]:
    """Divide images into shards.

    Args:
        folder: The packed folder.
        sources: The image files, in order.
        checksums: The SHA-256 of each image file; shards of unchanged images are reused.
        side: Pixels per side.
        shard_bytes: Approximate maximum size of a shard.
    """
    each = max(1, shard_bytes // (side * side * 3))
    known = _checksums(folder)
    plans = []
    for number, start in enumerate(range(0, len(sources), each)):
        content = hashlib.sha256("\n".join(checksums[start : start + each]).encode()).hexdigest()[:12]
        path = folder / f"shard-{number:05d}-{content}.npy"
        plans.append(ShardPlan(path, tuple(sources[start : start + each]), side, known.get(path.name, "")))
    return plans


def remove_other_shards(folder: Path, plans: Sequence[ShardPlan]) -> None:
    """Remove the index, temporary files and shards of other images, to free their space before writing.

    The folder is not valid until `write_index`.
    """
    (folder / INDEX_FILE).unlink(missing_ok=True)
    names = {plan.path.name for plan in plans}
    for path in folder.glob("*.npy"):
        if path.name not in names:
            path.unlink()


def require_space(folder: Path, plans: Sequence[ShardPlan]) -> int:
    """Return the number of bytes that remain to be written, after checking the free space.

    Raises:
        DataError: The disk is too small.
    """
    needed = sum(plan.bytes for plan in plans if not plan.exists)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(
            f"packing needs {needed / 2**20:,.0f} MiB and {free / 2**20:,.0f} MiB are free",
            where=folder,
            remedy="free some space, or curate with pack=false",
        )
    return needed


def write_shard(plan: ShardPlan, images: Iterable[Pixels]) -> Shard:
    """Write a shard, unless it exists and is intact.

    Args:
        plan: The shard.
        images: Its images, each of shape (side, side, 3); not consumed if the shard is intact.

    Raises:
        OSError: It cannot be written; no partial file is left.
    """
    if plan.exists:
        checksum = file_sha256(plan.path)
        if plan.sha256 in ("", checksum):
            return Shard(plan.path.name, len(plan.sources), checksum)
        log.warning("%s is damaged and written again", plan.path)
    shape = (len(plan.sources), plan.side, plan.side, 3)
    with atomic_path(plan.path) as temporary, temporary.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        for image in images:
            file.write(np.ascontiguousarray(image).data)
    return Shard(plan.path.name, len(plan.sources), file_sha256(plan.path))


def write_index(
    folder: Path, shards: Sequence[Shard], image_ids: Sequence[str], fingerprint: str, side: int
) -> None:
    """Write the index, which makes the folder valid, and remove shards that it does not list."""
    index = {
        "version": VERSION,
        "fingerprint": fingerprint,
        "side": side,
        "shards": [asdict(shard) for shard in shards],
        "image_ids": list(image_ids),
    }
    write_text(folder / INDEX_FILE, json.dumps({"sha256": _digest_of(index), "index": index}) + "\n")
    listed = {shard.file for shard in shards}
    for path in folder.glob("*.npy"):
        if path.name not in listed:
            path.unlink()


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _size(rows: int, side: int) -> int:
    return _HEADER + rows * side**2 * 3


def _checksums(folder: Path) -> dict[str, str]:
    """Return the checksums of existing shards by file, or nothing if the index is missing or damaged."""
    try:
        shards = _read_index(folder / INDEX_FILE)["shards"]
    except (OSError, ValueError):
        return {}
    return {shard["file"]: shard["sha256"] for shard in shards}


def _read_index(path: Path) -> dict[str, Any]:
    """Return an index, its own checksum verified.

    Raises:
        ValueError: It is damaged, or of another version of the format.
        OSError: It cannot be read.
    """
    content: dict[str, Any] = read_json_file(path, _IndexFile)
    index: dict[str, Any] = content["index"]
    if content["sha256"] != _digest_of(index) or index["version"] != VERSION:
        raise ValueError("damaged, or of another version")
    return index


def _digest_of(index: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(index, sort_keys=True).encode()).hexdigest()
