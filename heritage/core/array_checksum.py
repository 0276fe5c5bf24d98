"""The checksum of arrays in files of this package: it shows damage, not manipulation."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import numpy.typing as npt


def array_checksum(*arrays: npt.NDArray[Any]) -> str:
    """Return the CRC-32 of the bytes of arrays, one after the other.

    Shapes and types are not part of it: who reads the arrays checks them.

    Args:
        arrays: Arrays of any shape and of numbers, in the order in which they were written.

    Returns:
        Eight hexadecimal digits.

    Example:
        >>> import numpy as np
        >>> array_checksum(np.zeros(2, dtype=np.uint8), np.ones((1, 2), dtype=np.float32))
        '53aee68f'
    """
    value = 0
    for array in arrays:
        value = zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data, value)
    return f"{value:08x}"
