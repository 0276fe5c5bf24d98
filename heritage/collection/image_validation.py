"""Validate downloaded photographs, and name their files. `storage` writes them to disk."""

from __future__ import annotations

import hashlib
import io

import numpy as np
from PIL import ExifTags, Image

from heritage.collection.ledger_rows import StoredFile
from heritage.core.image_io import decode
from heritage.core.taxonomy import ImageName
from heritage.errors import ImageError

IMAGES = "images"

_LEFT_OUT = "it is not collected"

# Signature, its offset and the suffix of the format.
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
_DECODED_SIDE = 64
"""A JPEG is decoded at a reduced size of at least this many pixels a side; all of its data is read."""

_SWAPPED = frozenset({5, 6, 7, 8})  # EXIF orientations that swap width and height
_MIN_STD = 2.0
"""Images whose pixels have a smaller standard deviation (of 255) are blank placeholders."""


def file_stem(class_id: int, museum: str, object_id: str, position: int) -> str:
    """Return a file name without suffix: ``1_MET_547802``, ``1_MET_547802-2`` for the second photograph."""
    unique = object_id if position == 0 else f"{object_id}-{position + 1}"
    return str(ImageName(class_id, museum, unique))


def file_suffix(data: bytes, name: str) -> str:
    """Return the file suffix of an image from its content.

    Raises:
        ImageError: The content is not an image of a known format.
    """
    for signature, start, suffix in _SIGNATURES:
        if data[start : start + len(signature)] == signature:
            return suffix
    raise ImageError("not an image of a known format", where=name, remedy=_LEFT_OUT)


def validate_image(data: bytes, stem: str, *, min_side: int, placeholders: frozenset[str]) -> StoredFile:
    """Check that a photograph is complete and usable.

    Args:
        data: The file's content.
        stem: Its name without suffix; the suffix follows from the content.
        min_side: Minimum length of the shorter side in pixels.
        placeholders: SHA-256 digests of "no photograph" images.

    Returns:
        The file's name, digest and dimensions.

    Raises:
        ImageError: It is damaged or cut short, a decompression bomb, too small, blank or a placeholder.
    """
    suffix = file_suffix(data, stem)
    digest = hashlib.sha256(data).hexdigest()
    if digest in placeholders:
        raise ImageError("a known placeholder", where=stem, remedy=_LEFT_OUT)
    pixels = decode(data, name=stem, at_least=_DECODED_SIDE)
    width, height = _size(data) if suffix == ".jpg" else (pixels.shape[1], pixels.shape[0])
    if min(width, height) < min_side:
        raise ImageError(
            f"{width}×{height} pixels are fewer than {min_side} a side", where=stem, remedy=_LEFT_OUT
        )
    if float(np.std(pixels[:: max(1, height // 64), :: max(1, width // 64)])) < _MIN_STD:
        raise ImageError("a blank image", where=stem, remedy=_LEFT_OUT)
    return StoredFile(f"{IMAGES}/{stem}{suffix}", digest, len(data), width, height)


def _size(data: bytes) -> tuple[int, int]:
    """Return a JPEG's width and height after applying its EXIF orientation."""
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
        swapped = image.getexif().get(ExifTags.Base.Orientation) in _SWAPPED
        return (image.height, image.width) if swapped else image.size
