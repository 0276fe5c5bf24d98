"""Bytes of a stranger to pixels, with a status for each way in which that can fail."""

from __future__ import annotations

import io

from PIL import Image, UnidentifiedImageError

from heritage.errors import ImageError
from heritage.picture import FORMATS, Pixels, decode
from heritage.serving.refusal import Refusal

_MOST_SCANS = 200
"""Progressive JPEGs have about ten. Each scan of a few bytes makes the decoder go over all pixels again."""

_SCAN = b"\xff\xda"


def read_picture(data: bytes, *, at_least: int, megapixels: float) -> Pixels:
    """Decode a picture after a look at its header.

    Args:
        data: The file.
        at_least: Pixels a side that are needed (`heritage.picture.decode`).
        megapixels: More than this are not decoded.

    Returns:
        RGB pixels (H, W, 3).

    Raises:
        Refusal: 413 too many pixels, 415 no picture of a known format, 422 damaged.
    """
    width, height = _size(data)
    if width * height > megapixels * 1e6:
        raise Refusal(
            413,
            "too_many_pixels",
            f"The picture has more than {megapixels:g} million pixels. Make it smaller.",
        )
    if data[:2] == b"\xff\xd8" and data.count(_SCAN) > _MOST_SCANS:
        raise _damaged()
    try:
        return decode(data, at_least=at_least)
    except ImageError as error:
        raise _damaged() from error


def _size(data: bytes) -> tuple[int, int]:
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            return image.size
    except UnidentifiedImageError as error:
        raise Refusal(
            415, "not_a_picture", f"This is not a picture that can be read ({', '.join(FORMATS)})."
        ) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise Refusal(
            413, "too_many_pixels", "The picture has far too many pixels. Make it smaller."
        ) from error
    except (OSError, ValueError, SyntaxError, EOFError, OverflowError) as error:
        raise _damaged() from error


def _damaged() -> Refusal:
    return Refusal(422, "damaged", "The picture is damaged or cut off.")
