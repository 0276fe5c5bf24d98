"""Scale images with more than 8 bits per channel to 8 bits.

Scanners and microscopes store 10, 12 or 14 bits in 16, or floating-point numbers; the file rarely says which.
White is therefore taken from the values: 1 for floats up to 1, and otherwise the largest number of 8, 10, 12,
14 or 16 bits that is not below the largest value.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]

_BITS = (8, 10, 12, 14, 16, 24)
_LARGEST_FLOAT = 1.5  # resampling overshoots 1
_SUSPICIOUS = 64  # of 255: below it, the upper byte of 16 bits may be that of 14 bits or fewer
_SIXTEEN = np.uint16


def white_level(largest: float, mode: str) -> float:
    """Return the value of white.

    Args:
        largest: The largest value of an image.
        mode: Pillow's mode: ``F`` for floats, ``I`` for integers that may be signed (15 or 31 bits).
    """
    if mode == "F" and largest <= _LARGEST_FLOAT:
        return 1.0
    bits = sorted({*_BITS, 15}) if mode == "I" else _BITS
    fitting = (float(2**number - 1) for number in bits if largest <= 2**number - 1)
    return next(fitting, 2.0**31 - 1 if largest <= 2**31 - 1 else 2.0**32 - 1)


def to_eight_bits(levels: npt.NDArray[np.generic], white: float) -> Pixels:
    """Scale values to 0 to 255; values below 0 and above white are clipped, and NaN is black."""
    scaled = np.nan_to_num(levels.astype(np.float64) * (255.0 / white), nan=0.0)
    return np.asarray(np.clip(scaled, 0, 255).round(), dtype=np.uint8)


def largest_value(levels: npt.NDArray[np.generic]) -> float | None:
    """Return the largest finite value, 0 if all are negative; None if none is finite."""
    if levels.dtype.kind == "f":
        levels = levels[np.isfinite(levels)]
    return float(levels.max(initial=0)) if levels.size else None


def deep_colour(data: bytes, upper: Pixels, rawmode: str) -> Pixels | None:
    """Decode a PNG or TIFF with 16 bits per colour whose values have fewer bits.

    Pillow keeps the upper byte of 16 bits, which is nearly black if only 10 or 12 of them are used.

    Args:
        data: The content of the file.
        upper: The upper bytes, of shape (height, width, channels).
        rawmode: Pillow's name of the layout in the file.

    Returns:
        Pixels of the shape of ``upper``; None if they are right already.
    """
    if ";16" not in rawmode or upper.ndim != 3 or upper[..., :3].max(initial=0) >= _SUSPICIOUS:
        return None
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.dtype != _SIXTEEN or decoded.shape != upper.shape or upper.shape[2] < 3:
        return None
    alpha = decoded[..., 3:]
    white = white_level(largest_value(decoded[..., :3]) or 0.0, "I;16")
    colours = to_eight_bits(decoded[..., 2::-1], white)
    return np.concatenate(
        [colours, to_eight_bits(alpha, white_level(largest_value(alpha) or 0.0, "I;16"))], 2
    )
