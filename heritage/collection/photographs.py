"""Photographs: their names, and what they must be to count."""

from __future__ import annotations

import hashlib
import io

import numpy as np
from PIL import ExifTags, Image

from heritage.collection.ledger_rows import StoredFile
from heritage.core import image_io as picture
from heritage.core.taxonomy import ImageName
from heritage.errors import ImageError

IMAGES = "images"

_LEFT_OUT = "it is left out of the collection"

# What a file begins with, and the suffix that says so.
_SIGNATURES: tuple[tuple[bytes, int, str], ...] = (
    (b"\xff\xd8\xff", 0, ".jpg"),
    (b"\x89PNG\r\n\x1a\n", 0, ".png"),
    (b"WEBP", 8, ".webp"),
    (b"II*\x00", 0, ".tif"),
    (b"MM\x00*", 0, ".tif"),
    (b"GIF8", 0, ".gif"),
    (b"BM", 0, ".bmp"),
)
SUFFIXES = frozenset(suffix for _, _, suffix in _SIGNATURES)
_LOOKED_AT = 64
"""Pixels a side that are enough to see whether there is anything: all of a JPEG's data is read for them."""

_TURNED = frozenset({5, 6, 7, 8})  # the EXIF orientations that lie on their side
_LEAST_SPREAD = 2.0
"""Pixels whose standard deviation is less, of 255, show nothing: a blank placeholder."""


def stem_of(class_id: int, museum: str, object_id: str, position: int) -> str:
    """Return a file name without suffix: ``1_MET_547802``, for further photographs ``1_MET_547802-2``."""
    unique = object_id if position == 0 else f"{object_id}-{position + 1}"
    return str(ImageName(class_id, museum, unique))


def suffix_of(data: bytes, name: str) -> str:
    """Return the suffix that a file's content asks for.

    Raises:
        ImageError: It is not a picture of a known format.
    """
    for signature, start, suffix in _SIGNATURES:
        if data[start : start + len(signature)] == signature:
            return suffix
    raise ImageError("not a picture of a known format", where=name, remedy=_LEFT_OUT)


def verify(data: bytes, stem: str, *, min_side: int, placeholders: frozenset[str]) -> StoredFile:
    """Hold a photograph to what a data set needs.

    Args:
        data: The file's content.
        stem: Its name without suffix; the suffix follows from the content.
        min_side: Pixels its shorter side must have.
        placeholders: SHA-256 digests of pictures that say "no photograph".

    Raises:
        ImageError: It cannot be decoded to the last pixel, is a decompression bomb, too small, blank or
            a placeholder.
    """
    suffix = suffix_of(data, stem)
    digest = hashlib.sha256(data).hexdigest()
    if digest in placeholders:
        raise ImageError("a known placeholder", where=stem, remedy=_LEFT_OUT)
    pixels = picture.decode(data, name=stem, at_least=_LOOKED_AT)
    width, height = _size(data) if suffix == ".jpg" else (pixels.shape[1], pixels.shape[0])
    if min(width, height) < min_side:
        raise ImageError(
            f"{width}×{height} pixels are fewer than {min_side} a side", where=stem, remedy=_LEFT_OUT
        )
    if float(np.std(pixels[:: max(1, height // 64), :: max(1, width // 64)])) < _LEAST_SPREAD:
        raise ImageError("a blank picture", where=stem, remedy=_LEFT_OUT)
    return StoredFile(f"{IMAGES}/{stem}{suffix}", digest, len(data), width, height)


def _size(data: bytes) -> tuple[int, int]:
    """Return a JPEG's width and height as it is meant to be seen."""
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
        turned = image.getexif().get(ExifTags.Base.Orientation) in _TURNED
        return (image.height, image.width) if turned else image.size
