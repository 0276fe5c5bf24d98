"""Decode image files to RGB pixels and encode JPEG, fast and safe for untrusted files.

JPEG is decoded by libjpeg-turbo (simplejpeg), which can reduce to 1/2, 1/4 or 1/8 size at the cost of the
smaller image; all else, and JPEG that it cannot read (CMYK, unusual subsampling), by Pillow. Both apply the
EXIF orientation and convert from the embedded colour profile to sRGB.
"""

from __future__ import annotations

import functools
import io
import re
import warnings
from os import PathLike
from typing import Any

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError, features

from heritage.core.bit_depth import deep_colour, largest_value, to_eight_bits, white_level
from heritage.core.files import LFS_POINTER
from heritage.errors import ImageError

try:  # decodes the photographs of phones, if the extra is installed
    import pi_heif
except ImportError:
    pi_heif = None
else:
    pi_heif.register_heif_opener()

MAX_PIXELS = 89_478_485
"""Images with more pixels are rejected before decoding (Pillow's own limit: 256 MiB of RGB)."""

FORMATS: tuple[str, ...] = (
    "JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF",
    *(["AVIF"] if features.check("avif") else []),
    *(["HEIF"] if pi_heif is not None else []),
)  # fmt: skip
"""The formats that Pillow may decode; its rarer decoders are not hardened against malicious files. A JPEG of
several pictures (MPO) is a JPEG: the first one counts."""

MAX_SCANS = 200
"""Scans of a JPEG; progressive ones have about ten."""

_TILE_SIDES = (322, 323)  # TIFF tags
_SCAN = b"\xff\xda"
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]", re.S)  # of a segment, not inside compressed data
_ORIENTATION = 274  # the EXIF tag
_BITS_PER_SAMPLE, _SAMPLE_FORMAT = 258, 339  # TIFF tags
_HEAD = 65_536  # the length limit of an APP1 segment, which comes first
_APP2, _START_OF_SCAN, _END_OF_IMAGE = 0xE2, 0xDA, 0xD9
_PROFILE = b"ICC_PROFILE\x00"

_LARGEST_PROFILE = 4_000_000  # bytes: twice the largest printer profiles
_BAND = 256  # rows converted at a time

_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")

# Modes that a profile can be applied to; palettes are left unchanged.
_PROFILED = ("RGB", "RGBA", "CMYK", "L")

Pixels = npt.NDArray[np.uint8]


def decode(data: bytes, *, name: str | PathLike[str] = "image", at_least: int | None = None) -> Pixels:
    """Decode an image.

    Args:
        data: The content of the file.
        name: Its name in messages.
        at_least: Allow a JPEG to be decoded at reduced size as long as neither side gets shorter than this
            many pixels; a smaller image is not enlarged.

    Returns:
        RGB pixels of shape (height, width, 3).

    Raises:
        ImageError: It is damaged, not in one of `FORMATS`, or larger than `MAX_PIXELS`.
    """
    if data[:3] == b"\xff\xd8\xff":
        _require_few_scans(data, name)
        pixels = _decode_jpeg(data, name, at_least)
        if pixels is not None:
            return pixels
    return _decode_other(data, name)


def from_pillow(image: Image.Image, *, name: str | PathLike[str] = "image") -> Pixels:
    """Convert a Pillow image as `decode` does, without changing it.

    Args:
        image: An image of any mode, loaded or not.
        name: Its name in messages.

    Returns:
        RGB pixels of shape (height, width, 3).

    Raises:
        ImageError: The image is empty, larger than `MAX_PIXELS`, or its file is damaged.
    """
    if 0 in image.size:
        raise ImageError("an image without pixels", where=name, remedy="remove or replace it")
    _require_size(image.width, image.height, name)
    try:
        return _rgb(ImageOps.exif_transpose(image))
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise ImageError(f"damaged picture ({error})", where=name, remedy="remove or replace it") from error


def encode_jpeg(pixels: Pixels, *, quality: int = 92) -> bytes:
    """Encode RGB pixels of shape (height, width, 3) as a JPEG with 4:2:0 chroma."""
    encoded: bytes = simplejpeg.encode_jpeg(
        np.ascontiguousarray(pixels), quality=quality, colorspace="RGB", colorsubsampling="420"
    )
    return encoded


def _decode_jpeg(data: bytes, name: str | PathLike[str], at_least: int | None) -> Pixels | None:
    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(data)
        _require_size(width, height, name)
        if space in ("CMYK", "YCCK"):
            return None  # Pillow handles the inverted values of Adobe's files and applies their profiles
        if space == "Gray" and _jpeg_profile(data):
            return None  # its profile has one channel, and simplejpeg would return three
        scale = _reduction(height, width, at_least)
        pixels: Pixels = simplejpeg.decode_jpeg(
            data, colorspace="RGB", min_height=height // scale, min_width=width // scale
        )
    except ValueError:
        return None  # Pillow reads more variants and has better error messages
    if profile := _jpeg_profile(data):
        pixels = np.asarray(_to_srgb(Image.fromarray(pixels), profile))
    return _apply_orientation(pixels, _orientation(data))


def _reduction(height: int, width: int, at_least: int | None) -> int:
    """Return the factor (1, 2, 4 or 8) by which a JPEG is reduced while it is decoded.

    libjpeg-turbo scales by any eighth, but only halvings have a fast transform: 7/8 of the size takes twice
    as long as the full size.
    """
    if at_least is None:
        return 1
    return next(
        (scale for scale in (8, 4, 2) if -(-min(height, width) // scale) >= at_least),
        1,
    )


def _decode_other(data: bytes, name: str | PathLike[str]) -> Pixels:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                _require_size(image.width, image.height, name)
                _require_small_tiles(image, name)
                deepened = _deep_colour(data, image)
                ImageOps.exif_transpose(image, in_place=True)
                return _rgb(image) if deepened is None else _rgb(deepened)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"more than {MAX_PIXELS:,} pixels", where=name, remedy="make it smaller") from error
    except UnidentifiedImageError as error:
        what, remedy = _unknown_format(data)
        raise ImageError(what, where=name, remedy=remedy) from error
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        # Pillow's decoders raise all of these on damaged files.
        raise ImageError(f"damaged picture ({error})", where=name, remedy="remove or replace it") from error


def _rgb(image: Image.Image) -> Pixels:
    """Return RGB pixels (H, W, 3), converted in bands: copies of a large image would take a gigabyte."""
    width, height = image.size
    image.load()
    bands = [(top, min(top + _BAND, height)) for top in range(0, height, _BAND)]
    grey = image.mode in ("I;16", "I;16B", "I;16L", "I", "F")
    unsigned = image.mode == "I" and _is_unsigned(image)
    white = _white_level(image, bands, unsigned=unsigned) if grey else 255.0
    pixels = np.empty((height, width, 3), np.uint8)
    for top, bottom in bands:
        band = image.crop((0, top, width, bottom))
        pixels[top:bottom] = _grey_from_levels(band, white, unsigned=unsigned) if grey else _rgb_of_band(band)
    return pixels


def _rgb_of_band(image: Image.Image) -> Pixels:
    profile = image.info.get("icc_profile")
    if profile and image.mode in _PROFILED:
        image = _to_srgb(image, profile)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        # Cut-outs of artefacts are meant to be seen on white.
        cutout = image.convert("RGBA")
        background = Image.new("RGBA", cutout.size, "white")
        image = Image.alpha_composite(background, cutout)
    return np.asarray(image.convert("RGB"))


def _to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Convert from an embedded profile; with sRGB or an unusable profile, return the image unchanged."""
    if len(profile) > _LARGEST_PROFILE:
        return image
    transform = _transform(bytes(profile), image.mode)
    return image if transform is None else (ImageCms.applyTransform(image, transform) or image)


@functools.lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if mode != "CMYK" and "srgb" in ImageCms.getProfileDescription(source).lower():
            return None
        target = "RGBA" if mode == "RGBA" else "RGB"
        return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, target)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None  # damaged or unsuitable metadata do not make the pixels unreadable


def _jpeg_profile(data: bytes) -> bytes | None:
    """Return the colour profile of a JPEG, joined from its segments (ICC.1:2022, annex B.4)."""
    parts: dict[int, bytes] = {}
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker in (_START_OF_SCAN, _END_OF_IMAGE):
            break
        if marker == 0xFF:  # a fill byte
            place += 1
            continue
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        body = place + 4 + len(_PROFILE)
        if marker == _APP2 and data[place + 4 : body] == _PROFILE and body < end:
            parts[data[body]] = data[body + 2 : end]
        place = end
    return b"".join(parts[number] for number in sorted(parts)) or None


def _white_level(image: Image.Image, bands: list[tuple[int, int]], *, unsigned: bool) -> float:
    """Return the level of white, from the largest value.

    Raises:
        ValueError: No value is finite.
    """
    crops = (_levels(image.crop((0, top, image.width, bottom)), unsigned=unsigned) for top, bottom in bands)
    finite = [largest for largest in map(largest_value, crops) if largest is not None]
    if not finite:
        raise ValueError("all of its pixels are NaN or infinite")
    return white_level(max(finite), image.mode)


def _levels(image: Image.Image, *, unsigned: bool) -> npt.NDArray[Any]:
    values = np.asarray(image)
    return values.view(np.uint32) if unsigned and values.dtype == np.int32 else values


def _is_unsigned(image: Image.Image) -> bool:
    """Return whether a TIFF has unsigned integers of 32 bits, which Pillow reads as signed ones."""
    tags: Any = getattr(image, "tag_v2", {})
    return bool(tags.get(_BITS_PER_SAMPLE) == (32,) and tags.get(_SAMPLE_FORMAT, (1,)) == (1,))


def _grey_from_levels(image: Image.Image, white: float, *, unsigned: bool) -> Pixels:
    return np.repeat(to_eight_bits(_levels(image, unsigned=unsigned), white)[:, :, None], 3, axis=2)


def _deep_colour(data: bytes, image: Image.Image) -> Image.Image | None:
    """Return a PNG or TIFF of 16 bits per colour scaled by its own white; None if it is none."""
    tiles: Any = getattr(image, "tile", ())
    rawmode = str(tiles[0].args) if tiles else ""
    if image.format not in ("PNG", "TIFF") or ";16" not in rawmode:
        return None
    pixels = deep_colour(data, np.asarray(image), rawmode)
    if pixels is None:
        return None
    deepened = Image.fromarray(pixels)
    deepened.info = {key: value for key, value in image.info.items() if key == "icc_profile"}
    return ImageOps.exif_transpose(_with_orientation(deepened, image))


def _with_orientation(image: Image.Image, source: Image.Image) -> Image.Image:
    image.getexif()[_ORIENTATION] = source.getexif().get(_ORIENTATION, 1)
    return image


def _unknown_format(data: bytes) -> tuple[str, str]:
    """Return what is wrong with a file that Pillow does not know, and the remedy."""
    if data.startswith(LFS_POINTER):
        return "a Git LFS pointer and not the picture", "run `git lfs pull` in its folder"
    if data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS and pi_heif is None:
        return "a HEIC picture, and pi-heif is not installed", "pip install 'heritage[heic]'"
    if data[:4] in (b"II*\x00", b"MM\x00*"):
        return "a kind of TIFF that cannot be read", "save it as TIFF or PNG with 8 or 16 bits per colour"
    return "not a picture of a known format", "remove or replace it"


def _require_size(width: int, height: int, name: str | PathLike[str]) -> None:
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"{width}×{height} is more than {MAX_PIXELS:,} pixels", where=name, remedy="make it smaller"
        )


def _require_small_tiles(image: Image.Image, name: str | PathLike[str]) -> None:
    """Check the tiles of a TIFF: each is decoded whole, however small the image is."""
    tags = getattr(image, "tag_v2", {})
    sides = [value for tag in _TILE_SIDES if isinstance(value := tags.get(tag), int)]
    if len(sides) == len(_TILE_SIDES):
        _require_size(sides[0], sides[1], name)


def _require_few_scans(data: bytes, name: str | PathLike[str]) -> None:
    """Check the number of scans of a JPEG: each, of a few bytes, makes the decoder process all pixels."""
    if data.count(_SCAN) <= MAX_SCANS:
        return
    scans, place = 0, 2
    while (marker := _MARKER.search(data, place)) is not None and marker[0] != b"\xff\xd9":
        scans += marker[0] == _SCAN
        length = data[marker.end() : marker.end() + 2]
        place = marker.end() + max(2, int.from_bytes(length, "big"))
        if scans > MAX_SCANS:
            raise ImageError(f"more than {MAX_SCANS} scans", where=name, remedy="remove or replace it")


def _orientation(data: bytes) -> int:
    head = data[:_HEAD]
    if b"Exif\x00\x00" not in head:
        return 1
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
            value: Any = image.getexif().get(_ORIENTATION, 1)
    except (OSError, ValueError, SyntaxError):
        return 1  # damaged metadata do not make the pixels unreadable
    return value if value in range(1, 9) else 1


def _apply_orientation(pixels: Pixels, orientation: int) -> Pixels:
    """Rotate or mirror pixels as an EXIF orientation (1 to 8) demands."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
