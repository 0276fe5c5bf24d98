"""The parts of a feature store that is not complete yet: a file for each stretch of finished work.

Each is written to a temporary file and renamed, so a process that is killed loses the images since its last
part and nothing else.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors
from safetensors.numpy import save_file

from heritage.core.array_checksum import array_checksum
from heritage.core.bounded_read import require_regular
from heritage.core.files import atomic_path

MISSING, PRESENT, UNREADABLE, NOT_FINITE = range(4)
"""The states of a row."""

SUFFIX = ".safetensors"
PART_NAME = re.compile(rf"\d{{9,12}}-\d{{1,12}}-[0-9a-f]{{8}}{re.escape(SUFFIX)}")
_HEADER = 1 << 16  # bytes of a part's header, at most
Numbers = npt.NDArray[Any]


class DamagedPartError(ValueError):
    """A part that is damaged, or of another store."""


@dataclass(frozen=True)
class Part:
    """Features of some rows of a store.

    Attributes:
        rows: The rows, int64, (n,).
        states: Their states, uint8, (n,).
        file: The file of the features; None for ``features`` in memory.
        features: The features, (n, D); None if they are in the file.
        key: Digest of the store's key.
    """

    rows: npt.NDArray[np.int64]
    states: npt.NDArray[np.uint8]
    file: Path | None
    features: Numbers | None
    key: str

    def values(self) -> Numbers:
        """Return the features, (n, D).

        Raises:
            DamagedPartError: The checksum differs.
            OSError: The file cannot be read.
        """
        if self.features is not None or self.file is None:
            return np.empty((0, 0)) if self.features is None else self.features
        try:
            with safetensors.safe_open(self.file, framework="numpy") as opened:
                values: Numbers = opened.get_tensor("features")
                expected = (opened.metadata() or {}).get("crc32")
        except safetensors.SafetensorError as error:
            raise DamagedPartError(str(error)) from error
        if expected != array_checksum(self.rows, self.states, values):
            raise DamagedPartError("its checksum differs")
        return values


def write_part(
    folder: Path,
    key: str,
    rows: npt.NDArray[np.int64],
    states: npt.NDArray[np.uint8],
    features: Numbers,
) -> Part:
    """Write a part.

    Raises:
        OSError: The disk is full, or the folder cannot be written.
    """
    file = folder / f"{int(rows.min()):09d}-{len(rows)}-{secrets.token_hex(4)}{SUFFIX}"
    features = np.ascontiguousarray(features)
    with atomic_path(file) as temporary:
        save_file(
            {"rows": rows, "states": states, "features": features},
            temporary,
            metadata={"key": key, "crc32": array_checksum(rows, states, features)},
        )
    return Part(rows, states, file, None, key)


def read_part(file: Path, key: str, count: int, width: int, dtype: np.dtype[Any]) -> Part:
    """Read a part's rows and states; its features are read by `Part.values`.

    Args:
        file: The part.
        key: Digest of the store's key.
        count: Rows of the store.
        width: Length of a feature vector.
        dtype: The store's numbers.

    Raises:
        DamagedPartError: It is damaged, or of another store.
        OSError: It cannot be read.
    """
    require_regular(file)
    if file.stat().st_size > count * (width * dtype.itemsize + 9) + _HEADER:
        raise DamagedPartError("larger than the whole store")
    try:
        with safetensors.safe_open(file, framework="numpy") as opened:
            if (opened.metadata() or {}).get("key") != key:
                raise DamagedPartError("of another store")
            rows, states = opened.get_tensor("rows"), opened.get_tensor("states")
            features = opened.get_slice("features")
            shape, kind = tuple(features.get_shape()), features.get_dtype()
    except safetensors.SafetensorError as error:
        raise DamagedPartError(str(error)) from error
    fits = (
        rows.dtype == np.int64
        and states.dtype == np.uint8
        and rows.ndim == 1
        and rows.shape == states.shape
        and 0 < len(rows) <= count
        and shape == (len(rows), width)
        and kind == {"float32": "F32", "float16": "F16"}[dtype.name]
    )
    if not fits:
        raise DamagedPartError("its arrays have other shapes or types")
    if rows.min() < 0 or rows.max() >= count or states.min() < PRESENT or states.max() > NOT_FINITE:
        raise DamagedPartError("its rows or states are outside of the store")
    return Part(rows, states, file, None, key)
