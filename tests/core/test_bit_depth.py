"""Images with more than 8 bits per channel, and other kinds of files that people have."""

from __future__ import annotations

import base64
import io
import struct

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from heritage.core.files import LFS_POINTER
from heritage.core.image_io import Pixels, decode
from heritage.errors import ImageError

ROWS, COLUMNS = np.mgrid[0:48, 0:64]
GREY = ((ROWS + COLUMNS) * 255 / 110).astype(np.uint8)
COLOUR = np.stack([GREY, 255 - GREY, GREY // 2], axis=2)

# 64 × 64 pixels, red to the right, green downwards; encoded by pillow-heif 1.4
HEIC = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAVZtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAAACJpbG9j"
    "AAAAAERAAAEAAQAAAAABegABAAAAAAAAADoAAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAABAABodmMxAAAAAA5waXRtAAAAAAABAAAA1mlw"
    "cnAAAAC3aXBjbwAAAHhodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQArQgEBA3AA"
    "AAMAkAAAAwAAAwAeoCCBBZbqSSmubgIaDAgAAAMAyAAAAwAIQGIAAQAHRAHBcrAiQAAAABNjb2xybmNseAABAA0ABoAAAAAUaXNwZQAAAAAA"
    "AABAAAAAQAAAABBwaXhpAAAAAAMICAgAAAAXaXBtYQAAAAAAAAABAAEEgQIDBAAAAEJtZGF0AAAANigBrwtg+sg1iOfMKdYsrITWvZ5zy1BC"
    "njAUWU/cx1uQXlv+nvnrz1mVWzS5IVSC63HyE0/esA=="
)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def tiff(levels: npt.NDArray[np.generic], sample_format: int) -> bytes:
    """Return an uncompressed grey TIFF; formats: 1 unsigned, 2 signed, 3 float."""
    height, width = levels.shape
    data = levels.tobytes()
    start = 8 + 2 + 12 * 10 + 4
    tags = [(256, width), (257, height), (258, levels.dtype.itemsize * 8), (259, 1), (262, 1), (273, start),
            (277, 1), (278, height), (279, len(data)), (339, sample_format)]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", 0) + data


def largest_error(pixels: Pixels, expected: Pixels) -> int:
    wide = expected if expected.ndim == 3 else np.repeat(expected[:, :, None], 3, axis=2)
    return int(np.abs(pixels.astype(int) - wide).max())


@pytest.mark.parametrize(
    "data",
    [
        *(saved(Image.fromarray(GREY.astype(np.uint16) * factor), "PNG") for factor in (257, 64, 16, 4)),
        saved(Image.fromarray(GREY.astype(np.uint16) * 257), "TIFF"),
        saved(Image.fromarray((GREY / 255).astype(np.float32)), "TIFF"),
        saved(Image.fromarray((GREY / 255 * 1.02).astype(np.float32)), "TIFF"),  # resampling overshoots
        saved(Image.fromarray(GREY.astype(np.float32)), "TIFF"),
        saved(Image.fromarray(GREY.astype(np.float32) * 257), "TIFF"),
        tiff(GREY.astype("<u2") * 16, 1),
        tiff(GREY.astype("<i2") * 128, 2),
        tiff(GREY.astype("<i4") * 8_421_504, 2),
        tiff(GREY.astype("<i4") * 16, 2),
        tiff(GREY.astype("<u4") * 16_843_009, 1),
    ],
    ids=["16", "14", "12", "10", "tiff", "f1", "f1.02", "f255", "f65535", "u12", "i15", "i31", "i12", "u32"],
)
def test_greys_are_scaled_by_their_own_white(data: bytes) -> None:
    assert largest_error(decode(data), GREY) <= 5


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("factor", [257, 64, 16, 4])
def test_colours_of_16_bits_are_scaled_by_their_own_white(suffix: str, factor: int) -> None:
    encoded = cv2.imencode(suffix, (COLOUR.astype(np.uint16) * factor)[..., ::-1])[1]
    assert largest_error(decode(encoded.tobytes()), COLOUR) <= 1


def test_deep_colours_with_transparency_are_put_on_white() -> None:
    alpha = np.where(GREY > 100, 4080, 0).astype(np.uint16)
    deep = np.dstack([COLOUR.astype(np.uint16)[..., ::-1] * 16, alpha])
    pixels = decode(cv2.imencode(".png", deep)[1].tobytes())
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert np.abs(pixels[-1, -1].astype(int) - COLOUR[-1, -1]).max() <= 1


def test_values_that_are_no_numbers_are_black_and_do_not_set_the_scale() -> None:
    levels = (GREY / 255).astype(np.float32)
    levels[0, 0], levels[0, 1] = np.nan, np.inf
    pixels = decode(saved(Image.fromarray(levels), "TIFF"))
    assert pixels[0, 0, 0] == 0
    assert largest_error(pixels[1:], GREY[1:]) <= 1


def test_a_dark_image_of_16_bits_stays_darker_than_a_bright_one() -> None:
    dark = decode(saved(Image.fromarray(GREY.astype(np.uint16) * 150), "PNG"))
    assert 140 <= dark.max() <= 150


def test_content_counts_and_not_the_suffix() -> None:
    png = saved(Image.fromarray(COLOUR), "PNG")
    assert largest_error(decode(png, name="a.JPEG"), COLOUR) == 0


def test_a_palette_with_transparent_colours_is_put_on_white() -> None:
    image = Image.new("P", (8, 8), 0)
    image.putpalette([200, 0, 0, 0, 200, 0])
    image.putpixel((0, 0), 1)
    pixels = decode(saved(image, "PNG", transparency=b"\x00\xff"))
    assert pixels[0, 0].tolist() == [0, 200, 0]
    assert pixels[4, 4].tolist() == [255, 255, 255]


def test_the_first_picture_of_a_stereo_camera_counts() -> None:
    first, second = Image.fromarray(COLOUR), Image.fromarray(255 - COLOUR)
    data = saved(first, "MPO", save_all=True, append_images=[second], quality=95)
    assert np.abs(decode(data).astype(int) - COLOUR).mean() < 5


def test_avif_and_heic_are_read() -> None:
    assert np.abs(decode(saved(Image.fromarray(COLOUR), "AVIF")).astype(int) - COLOUR).mean() < 5
    pytest.importorskip("pi_heif")
    pixels = decode(HEIC)
    assert pixels.shape == (64, 64, 3)
    assert pixels[32, 60, 0] > pixels[32, 4, 0] + 150
    assert pixels[60, 32, 1] > pixels[4, 32, 1] + 150


def test_heic_without_its_decoder_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("heritage.core.image_io.FORMATS", ("JPEG", "PNG"))
    monkeypatch.setattr("heritage.core.image_io.pi_heif", None)
    with pytest.raises(
        ImageError, match=r"a HEIC picture, and pi-heif is not installed; pip install 'heritage\[heic"
    ):
        decode(HEIC)


def test_other_unreadable_files_are_described() -> None:
    with pytest.raises(ImageError, match="a Git LFS pointer and not the picture; run `git lfs pull`"):
        decode(LFS_POINTER + b"v1\n")
    deep = cv2.imencode(".tiff", (COLOUR / 255).astype(np.float32))[1].tobytes()
    with pytest.raises(
        ImageError, match="a kind of TIFF that cannot be read; save it as TIFF or PNG with 8 or 16"
    ):
        decode(deep)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_image_without_a_finite_value_is_refused(value: float) -> None:
    file = io.BytesIO()
    Image.fromarray(np.full((8, 8), value, np.float32)).save(file, "TIFF")
    with pytest.raises(ImageError, match="all of its pixels are NaN or infinite"):
        decode(file.getvalue())
