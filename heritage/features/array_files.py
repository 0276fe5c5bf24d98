"""NumPy's files of one array, written in order and mapped for reading."""

from __future__ import annotations

import io
import math
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import numpy.typing as npt

from heritage.core.bounded_read import require_regular
from heritage.errors import DataError

REMOVE = "remove the folder: the next command computes it again"
_MAX_HEADER = 1 << 12  # bytes


def array_header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    """Return the head of a ``.npy`` file, after which its numbers follow in the order of the rows."""
    text = io.BytesIO()
    np.lib.format.write_array_header_1_0(text, {"descr": dtype.str, "fortran_order": False, "shape": shape})
    return text.getvalue()


def map_array(file: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Map a ``.npy`` file that must have this type and shape.

    Raises:
        DataError: It is missing or damaged, or has another type, shape or size.
    """
    try:
        require_regular(file)
        with file.open("rb") as opened:
            start = io.BytesIO(opened.read(_MAX_HEADER))
        np.lib.format.read_magic(start)
        found, fortran, kind = np.lib.format.read_array_header_1_0(start)
    except (OSError, ValueError, SyntaxError, TokenError) as error:
        raise DataError(f"damaged ({error})", where=file, remedy=REMOVE) from error
    size = start.tell() + math.prod(shape) * dtype.itemsize
    if (found, fortran, kind) != (shape, False, dtype) or file.stat().st_size != size:
        raise DataError(
            f"{kind} {found} in {file.stat().st_size:,} bytes instead of {dtype} {shape} in {size:,}",
            where=file,
            remedy=REMOVE,
        )
    return np.memmap(file, dtype, mode="r", offset=start.tell(), shape=shape)
