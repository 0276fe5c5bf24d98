"""A feature store: a folder with the features of the images of a data set by one network.

    store.json      the key: what the features were computed from; numbers of rows and columns
    rows.parquet    image_id, file, sha256 and bytes of each row, ordered by file
    parts/          finished work, while rows are missing
    features.npy    (N, D) float32 or float16, NaN for images without features; written when no row is missing
    states.npy      (N,) uint8: 1 has features, 2 the image cannot be read, 3 the features are not finite

Every file is written under a temporary name and renamed. Nothing in a store is trusted: sizes, types and
positions are checked before they are used, and no file is named by another one.
"""

from __future__ import annotations

import contextlib
import json
import logging
import time
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from heritage.core.files import atomic_path, write_text
from heritage.core.numbers import counted
from heritage.core.parquet_files import read_parquet
from heritage.errors import DataError
from heritage.features.array_files import REMOVE, array_header, map_array
from heritage.features.key import FeatureKey, image_digest
from heritage.features.parts import (
    MISSING,
    NOT_FINITE,
    PART_NAME,
    PRESENT,
    SUFFIX,
    UNREADABLE,
    DamagedPartError,
    Part,
    read_part,
    write_part,
)
from heritage.features.store_record import FORMAT, STORE_FILE, key_of, read_record

log = logging.getLogger(__name__)

ROWS_FILE, PARTS_FOLDER = "rows.parquet", "parts"
FEATURES_FILE, STATES_FILE = "features.npy", "states.npy"

_ABANDONED = 600  # seconds after which the temporary file of a part has no process any more
_BLOCK = 64 << 20  # bytes of features written at a time

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


class FeatureStore:
    """Features of images, in a folder or in memory.

    Made by `create_store`, `read_store` or, with the images that are still missing, by
    `heritage.features.compute.image_features`.

    Args:
        folder: The folder; None keeps everything in memory.
        key: What the features are computed from.
        table: The rows: image_id and file, sha256 and bytes where they are known, (N).
        width: Length of a feature vector, D.
    """

    def __init__(self, folder: Path | None, key: FeatureKey, table: pa.Table, width: int) -> None:
        self.folder = folder
        self.key = key
        self.table = table
        self.width = width
        self.states: npt.NDArray[np.uint8] = np.full(len(self), MISSING, dtype=np.uint8)
        self._parts: list[Part] = []
        self._part_of: npt.NDArray[np.int32] = np.full(len(self), -1, dtype=np.int32)
        self._place: Rows = np.zeros(len(self), dtype=np.int64)
        self.refresh()

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __repr__(self) -> str:
        where = "in memory" if self.folder is None else f"'{self.folder}'"
        missing = f", {counted(len(self) - self.count, 'image')} missing" if self.count < len(self) else ""
        shape = f"{len(self):,} × {self.width:,} {self.key.dtype}"
        return f"FeatureStore({self.key.architecture}, {shape}{missing}, {where})"

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the stored numbers."""
        return np.dtype(self.key.dtype)

    @property
    def count(self) -> int:
        """Number of rows that were computed, those without features included."""
        return int((self.states != MISSING).sum())

    @property
    def complete(self) -> bool:
        """Whether no row is missing."""
        return bool((self.states != MISSING).all())

    @property
    def has_parts(self) -> bool:
        """Whether its features are in parts, and not in ``features.npy`` alone."""
        return any(part.file is not None for part in self._parts)

    @property
    def bytes(self) -> int:
        """Size of its files."""
        if self.folder is None:
            return sum(part.values().nbytes for part in self._parts)
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())

    @cached_property
    def files(self) -> list[str]:
        """The file of each row, relative to the data set's folder."""
        names: list[str] = self.table["file"].to_pylist()
        return names

    def files_in(self, state: int) -> list[str]:
        """Return the files of the rows in a state (`heritage.features.parts`)."""
        return [self.files[row] for row in np.flatnonzero(self.states == state)]

    @property
    def unreadable(self) -> list[str]:
        """Files of images that cannot be read."""
        return self.files_in(UNREADABLE)

    @property
    def not_finite(self) -> list[str]:
        """Files of images whose features are not finite."""
        return self.files_in(NOT_FINITE)

    @property
    def features(self) -> npt.NDArray[Any]:
        """The memory map, (N, D); rows of images without features are NaN.

        Raises:
            DataError: The store is not complete, or it is damaged.
        """
        self.require_complete()
        self.finish()
        mapped: npt.NDArray[Any] = self._mapped()[0]
        return mapped

    def require_complete(self) -> None:
        """Check that no row is missing, and that the rows are on disk.

        Raises:
            DataError: Rows are missing.
        """
        if self.folder is None or not self.complete:
            raise DataError(
                f"{counted(len(self) - self.count, 'image')} of {len(self):,} are missing",
                where=self.folder or "features",
                remedy="run the same `heritage embed` again: it computes the missing ones",
            )

    def read(self, rows: Rows) -> Floats:
        """Return the features of rows, (n, D); NaN where there are none.

        Args:
            rows: Rows of the store.

        Raises:
            DamagedPartError: A part is damaged: it was removed, and its rows are missing now.
        """
        values = np.full((len(rows), self.width), np.nan, dtype=np.float32)
        for number in np.unique(self._part_of[rows]).tolist():
            if number < 0:
                continue
            inside = np.flatnonzero(self._part_of[rows] == number)
            part = self._parts[number]
            try:
                values[inside] = part.values()[self._place[rows[inside]]]
            except (DamagedPartError, FileNotFoundError) as error:
                self._drop(part, error)
                raise DamagedPartError(str(error)) from error
        values[self.states[rows] != PRESENT] = np.nan
        return values

    def add(self, rows: Rows, states: npt.NDArray[np.uint8], features: npt.NDArray[Any]) -> None:
        """Add finished rows.

        Args:
            rows: Rows of the store, (n,).
            states: Their states, (n,).
            features: Their features, (n, D), in the store's type.

        Raises:
            OSError: The disk is full, or the folder cannot be written.
        """
        digest = self.key.digest
        if self.folder is None:
            part = Part(rows, states, None, features, digest)
        else:
            part = write_part(self.folder / PARTS_FOLDER, digest, rows, states, features)
        self._attach(part)

    def refresh(self) -> None:
        """Read which rows there are, those that other processes have added included."""
        if self.folder is None:
            return
        self.states[:] = MISSING
        self._part_of[:] = -1
        self._parts = []
        whole = self._read_whole()
        if whole is not None:
            self._attach(whole)
        for file in self._part_files():
            try:
                self._attach(read_part(file, self.key.digest, len(self), self.width, self.dtype))
            except FileNotFoundError:
                continue  # another process has finished the store
            except (DamagedPartError, OSError) as error:
                _remove_damaged(file, error)

    def _part_files(self) -> list[Path]:
        folder = Path() if self.folder is None else self.folder / PARTS_FOLDER
        if folder.is_symlink():  # damaged parts are removed, and files elsewhere must not be
            raise DataError("a link to another folder", where=folder, remedy=REMOVE)
        return sorted(file for file in folder.glob(f"[0-9]*{SUFFIX}") if PART_NAME.fullmatch(file.name))

    def keep_in_memory(self) -> None:
        """Write nothing from now on: what is added is kept in memory beside what the folder has."""
        self.folder = None

    def finish(self) -> None:
        """Write ``features.npy`` if no row is missing, and remove the parts.

        Raises:
            DamagedPartError: A part is damaged: it was removed, and its rows are missing now.
            OSError: The disk is full, or the folder cannot be written.
        """
        files = [part.file for part in self._parts if part.file is not None]
        if self.folder is None or not self.complete or not files:
            return
        with atomic_path(self.folder / FEATURES_FILE) as temporary, temporary.open("wb") as opened:
            opened.write(array_header(self.dtype, (len(self), self.width)))
            # written, not mapped: a full disk raises an error here, and ends a process that writes to a map
            step = max(1, _BLOCK // (self.width * 4))
            for start in range(0, len(self), step):
                rows = np.arange(start, min(start + step, len(self)))
                opened.write(self.read(rows).astype(self.dtype).tobytes())
        with atomic_path(self.folder / STATES_FILE) as temporary, temporary.open("wb") as opened:
            opened.write(array_header(self.states.dtype, self.states.shape) + self.states.tobytes())
        abandoned = (
            file
            for file in (self.folder / PARTS_FOLDER).glob(f".[0-9]*{SUFFIX}")
            if time.time() - file.stat().st_mtime > _ABANDONED
        )
        for file in (*files, *abandoned):
            file.unlink(missing_ok=True)
        self.refresh()

    def _attach(self, part: Part) -> None:
        number = len(self._parts)
        self._parts.append(part)
        # features replace a failure, and never the other way round
        better = (part.states == PRESENT) | (self.states[part.rows] != PRESENT)
        rows = part.rows[better]
        self.states[rows] = part.states[better]
        self._part_of[rows] = number
        self._place[rows] = np.flatnonzero(better)

    def _drop(self, part: Part, error: Exception) -> None:
        if part.file is not None and not isinstance(error, FileNotFoundError):
            _remove_damaged(part.file, error)
        self.refresh()

    def _read_whole(self) -> Part | None:
        if self.folder is None or not (self.folder / STATES_FILE).is_file():
            return None
        features, states = self._mapped()
        return Part(np.arange(len(self)), states, None, features, self.key.digest)

    def _mapped(self) -> tuple[npt.NDArray[Any], npt.NDArray[np.uint8]]:
        """Map ``features.npy`` and read ``states.npy``.

        Raises:
            DataError: They are damaged.
        """
        if self.folder is None:
            raise TypeError("the store is in memory")
        shape = len(self), self.width
        features = map_array(self.folder / FEATURES_FILE, self.dtype, shape)
        states = np.array(map_array(self.folder / STATES_FILE, np.dtype(np.uint8), shape[:1]))
        if states.min() < PRESENT or states.max() > NOT_FINITE:
            raise DataError("unknown states", where=self.folder / STATES_FILE, remedy=REMOVE)
        return features, states


def _remove_damaged(file: Path, error: Exception) -> None:
    log.warning("%s: %s; its images are computed again", file, error)
    with contextlib.suppress(OSError):  # opened only for reading
        file.unlink(missing_ok=True)


def _begins_a_store(name: str) -> bool:
    """Return whether a folder without ``store.json`` may have this file: of a store that was begun."""
    return name in (PARTS_FOLDER, ROWS_FILE) or name.startswith(".")


def create_store(folder: Path, key: FeatureKey, table: pa.Table, width: int) -> FeatureStore:
    """Open the store of a key in a folder, which is created if it does not exist.

    Args:
        folder: The store's folder.
        key: What the features are computed from.
        table: The rows, ordered by file.
        width: Length of a feature vector.

    Raises:
        DataError: The folder is another store, it is damaged, or it has other files.
        OSError: It cannot be written.
    """
    if (folder / STORE_FILE).is_file():
        store = read_store(folder)
        if (fault := key.differences(store.key)) or store.width != width:
            raise DataError(
                f"a store of other features ({fault or f'{store.width} columns instead of {width}'})",
                where=folder,
                remedy="remove it, or choose another folder",
            )
        return store
    if folder.is_dir() and any(not _begins_a_store(path.name) for path in folder.iterdir()):
        raise DataError(  # the remedy for a damaged store is to remove its folder
            "not empty, and not a feature store", where=folder, remedy="choose a new folder"
        )
    (folder / PARTS_FOLDER).mkdir(parents=True, exist_ok=True)
    with atomic_path(folder / ROWS_FILE) as temporary:
        pq.write_table(table, temporary, compression="zstd")
    record = {"format": FORMAT, "key": key.record, "rows": table.num_rows, "width": width}
    write_text(folder / STORE_FILE, json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    return FeatureStore(folder, key, table, width)


def read_store(folder: Path) -> FeatureStore:
    """Read a store, complete or not.

    Raises:
        DataError: It is not a store, or it is damaged.
    """
    record = read_record(folder)
    key = key_of(record)
    path = folder / ROWS_FILE
    try:
        table = read_parquet(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"unreadable: {error}", where=path, remedy=REMOVE) from error
    kinds = {name: table.schema.field(name).type for name in table.column_names}
    known = {"image_id": pa.string(), "file": pa.string(), "sha256": pa.string(), "bytes": pa.int64()}
    if not {"image_id", "file"} <= set(kinds) or any(known.get(name) != kind for name, kind in kinds.items()):
        raise DataError("its columns are not those of a store", where=path, remedy=REMOVE)
    if table.num_rows != record["rows"] or image_digest(table) != key.images:
        raise DataError("the rows of other images", where=path, remedy=REMOVE)
    return FeatureStore(folder, key, table, record["width"])
