"""Images decoded beforehand, in memory-mapped files: a read is a view, not a decode.

A packed folder holds shards, ``shard-00000-<content>.npy`` of shape (n, height, width, 3) and type
uint8 (any NumPy reads them), and ``index.json``: the format's version, the shape, the data set's
fingerprint, the images' names in order, and each shard's rows and sha256. The index is written last and
carries its own checksum, so a folder without a sound index is no packed set. A shard's file name
carries a digest of what it was made from, so that an interrupted packing goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from heritage.core.files import atomic_path, write_text
from heritage.errors import DataError, DatasetNotFoundError, ImageError

log = logging.getLogger(__name__)

Pixels = npt.NDArray[np.uint8]

VERSION = 1
INDEX_FILE = "index.json"

_SHARD_BYTES = 1 << 30
_HEADER = 128  # of a .npy file of these shapes


@dataclass(frozen=True, slots=True)
class Shard:
    """A file of consecutive images: its name, how many, and its checksum."""

    file: str
    rows: int
    sha256: str


class PackedImages:
    """Pre-decoded images of one size, read as views of memory-mapped files.

    Files are mapped when they are first read, so an instance costs nothing to pickle.

    Attributes:
        image_ids: The name of each row.
        fingerprint: Of the data set it was made from.
        side: Pixels a side.
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
        """Open a packed folder; sizes are checked, contents by `verify`.

        Raises:
            DatasetNotFoundError: There is no packed set.
            DataError: It is damaged, or of another version.
        """
        path = folder / INDEX_FILE
        if not path.is_file():
            raise DatasetNotFoundError(
                f"no packed images (no {INDEX_FILE})",
                where=folder,
                remedy="make them with `heritage curate pack=true`",
            )
        try:
            whole = json.loads(path.read_text(encoding="utf-8"))
            index = whole["index"]
            sound = whole["sha256"] == _digest_of(index) and index["version"] == VERSION
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"unreadable: {type(error).__name__}: {error}", where=path, remedy="pack it again"
            ) from error
        if not sound:
            raise DataError("damaged, or of another version", where=path, remedy="pack it again")
        images = cls(folder, index)
        for shard in images.shards:
            there = folder / shard.file
            if not there.is_file() or there.stat().st_size != _size(shard.rows, images.side):
                raise DataError("missing or cut off", where=there, remedy="pack it again")
        return images

    def __len__(self) -> int:
        return len(self.image_ids)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_maps": [None] * len(self.shards)}

    def read(self, row: int) -> Pixels:
        """Return the image of a row: a read-only view of shape (side, side, 3), nothing is copied.

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
        """Return the rows of these images.

        Raises:
            DataError: One is not among the packed images.
        """
        place = {name: row for row, name in enumerate(self.image_ids)}
        try:
            return np.array([place[name] for name in image_ids], dtype=np.int64)
        except KeyError as error:
            raise DataError(
                f"{error} is not packed", where=self.folder, remedy="pack the data set again"
            ) from error

    def verify(self) -> None:
        """Read everything and compare checksums.

        Raises:
            ImageError: A shard's content is not what was written.
        """
        for shard in self.shards:
            if file_sha256(self.folder / shard.file) != shard.sha256:
                raise ImageError(
                    "its checksum is wrong", where=self.folder / shard.file, remedy="pack it again"
                )

    def _map(self, number: int) -> Pixels:
        # A plain array over the map: np.memmap's own slicing is ten times as slow.
        mapped = np.load(self.folder / self.shards[number].file, mmap_mode="r")
        view: Pixels = mapped.view(np.ndarray)
        self._maps[number] = view
        return view


@dataclass(frozen=True, slots=True)
class ShardPlan:
    """A shard to be written: where, from which images, and its checksum where an earlier index has it."""

    path: Path
    sources: tuple[Path, ...]
    side: int
    sha256: str = ""

    @property
    def bytes(self) -> int:
        """How large its file is."""
        return _size(len(self.sources), self.side)

    @property
    def exists(self) -> bool:
        """Whether a file of its name and size is there."""
        return self.path.is_file() and self.path.stat().st_size == self.bytes


def plan(
    folder: Path,
    sources: Sequence[Path],
    checksums: Sequence[str],
    side: int,
    shard_bytes: int = _SHARD_BYTES,
) -> list[ShardPlan]:
    """Cut images into shards.

    Args:
        folder: Where the shards will lie.
        sources: The images' files, in order.
        checksums: The sha256 of each, by which an earlier shard is known again. What an earlier index
            in the folder says of its content is checked when it is written.
        side: Pixels a side.
        shard_bytes: About how large a shard may be.
    """
    each = max(1, shard_bytes // (side * side * 3))
    known = _checksums(folder)
    pieces = []
    for number, start in enumerate(range(0, len(sources), each)):
        content = hashlib.sha256("\n".join(checksums[start : start + each]).encode()).hexdigest()[:12]
        path = folder / f"shard-{number:05d}-{content}.npy"
        pieces.append(ShardPlan(path, tuple(sources[start : start + each]), side, known.get(path.name, "")))
    return pieces


def clear(folder: Path, pieces: Sequence[ShardPlan]) -> None:
    """Remove what an interrupted packing left and shards of other images, so that they cost no space.

    Without its index the folder is no packed set until `write_index`.
    """
    (folder / INDEX_FILE).unlink(missing_ok=True)
    wanted = {piece.path.name for piece in pieces}
    for path in folder.glob("*.npy"):
        if path.name not in wanted:
            path.unlink()


def require_space(folder: Path, pieces: Sequence[ShardPlan]) -> int:
    """Return how many bytes are still to be written, and refuse where the disk cannot hold them.

    Raises:
        DataError: The disk is too small.
    """
    needed = sum(piece.bytes for piece in pieces if not piece.exists)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(
            f"packing needs {needed / 2**20:,.0f} MiB and {free / 2**20:,.0f} MiB are free",
            where=folder,
            remedy="free some space, or curate with pack=false",
        )
    return needed


def write_shard(piece: ShardPlan, images: Iterable[Pixels]) -> Shard:
    """Write a shard, or find it whole and unchanged from before, and return its checksum.

    Args:
        piece: The shard.
        images: Its images, each of shape (side, side, 3); drawn one by one.

    Raises:
        OSError: It cannot be written; nothing half-written is left.
    """
    if piece.exists:
        found = file_sha256(piece.path)
        if piece.sha256 in ("", found):
            return Shard(piece.path.name, len(piece.sources), found)
        log.warning("%s is damaged: it is written again", piece.path)
    shape = (len(piece.sources), piece.side, piece.side, 3)
    with atomic_path(piece.path) as temporary, temporary.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        for image in images:
            file.write(np.ascontiguousarray(image).data)
    return Shard(piece.path.name, len(piece.sources), file_sha256(piece.path))


def write_index(
    folder: Path, shards: Sequence[Shard], image_ids: Sequence[str], fingerprint: str, side: int
) -> None:
    """Write the index, which makes the folder a packed set, and remove shards that it does not name."""
    index = {
        "version": VERSION,
        "fingerprint": fingerprint,
        "side": side,
        "shards": [asdict(shard) for shard in shards],
        "image_ids": list(image_ids),
    }
    write_text(folder / INDEX_FILE, json.dumps({"sha256": _digest_of(index), "index": index}) + "\n")
    named = {shard.file for shard in shards}
    for path in folder.glob("*.npy"):
        if path.name not in named:
            path.unlink()


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _size(rows: int, side: int) -> int:
    return _HEADER + rows * side**2 * 3


def _checksums(folder: Path) -> dict[str, str]:
    """Return the checksums of an earlier packing's shards, by file; none where its index is damaged."""
    try:
        whole = json.loads((folder / INDEX_FILE).read_text(encoding="utf-8"))
        index = whole["index"]
        sound = whole["sha256"] == _digest_of(index)
        return {shard["file"]: shard["sha256"] for shard in index["shards"]} if sound else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _digest_of(index: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(index, sort_keys=True).encode()).hexdigest()
