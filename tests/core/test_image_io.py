"""Images of all formats are decoded to RGB pixels; invalid files raise one clear error."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from heritage.core.image_io import MAX_PIXELS, decode, encode_jpeg
from heritage.errors import ImageError

BLOCKS = np.kron(
    np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8), np.ones((16, 16, 1), np.uint8)
)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def difference(got: np.ndarray, expected: np.ndarray) -> float:
    assert got.shape == expected.shape
    return float(np.abs(got.astype(int) - expected).mean())


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "BMP"])
def test_lossless_formats_are_decoded_exactly(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    assert difference(decode(saved(Image.fromarray(BLOCKS), kind, **options)), BLOCKS) == 0


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_honoured(orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    for kind, options in (("JPEG", {"quality": 95, "subsampling": 0}), ("PNG", {})):
        data = saved(Image.fromarray(BLOCKS), kind, exif=exif, **options)
        expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
        assert difference(decode(data), expected) < 0.5


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg_modes(mode: str) -> None:
    data = saved(Image.fromarray(BLOCKS).convert(mode), "JPEG", quality=95)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert difference(decode(data), expected) < 2


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA"])
def test_png_modes(mode: str) -> None:
    image = Image.fromarray(BLOCKS).convert(mode)
    assert difference(decode(saved(image, "PNG")), np.asarray(image.convert("RGB"))) == 0


def test_transparent_images_get_a_white_background() -> None:
    image = Image.new("RGBA", (8, 8), (200, 0, 0, 0))
    image.putpixel((0, 0), (200, 0, 0, 255))
    pixels = decode(saved(image, "PNG"))
    assert pixels[0, 0].tolist() == [200, 0, 0]
    assert pixels[4, 4].tolist() == [255, 255, 255]


def test_sixteen_bits_keep_their_range() -> None:
    levels = np.linspace(0, 65535, 64, dtype=np.uint16).reshape(8, 8)
    pixels = decode(saved(Image.fromarray(levels), "PNG"))
    assert difference(pixels[:, :, 0], (levels / 257).round()) < 0.51


def test_reduced_decoding_keeps_the_minimum_side() -> None:
    big = np.kron(BLOCKS, np.ones((8, 8, 1), np.uint8))  # 512 × 768
    pixels = decode(encode_jpeg(big), at_least=100)
    assert pixels.shape[0] in range(100, 200)
    assert pixels.shape[1] in range(150, 300)
    assert decode(encode_jpeg(big)).shape == big.shape


@pytest.mark.parametrize(
    ("shape", "at_least", "expected"),
    [((256, 256), 224, (256, 256)), ((512, 768), 256, (256, 384)), ((511, 768), 256, (256, 384)),
     ((511, 768), 257, (511, 768)), ((3000, 2000), 250, (375, 250))],
)  # fmt: skip
def test_reduction_is_by_halves(shape: tuple[int, int], at_least: int, expected: tuple[int, int]) -> None:
    # 7/8 would be enough for the first, and takes twice as long as the whole picture
    picture = np.zeros((*shape, 3), np.uint8)
    assert decode(encode_jpeg(picture), at_least=at_least).shape[:2] == expected


def bomb() -> bytes:
    """A PNG of a few bytes that claims to be enormous."""
    head = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 1000)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a picture"),
        (b"<html>no</html>", "not a picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture"),
        (encode_jpeg(BLOCKS)[:400], "damaged picture"),
        (saved(Image.fromarray(BLOCKS), "PNG")[:200], "damaged picture"),
        (b"\xff\xd8\xff" + b"\0" * 100, "not a picture"),
        (bomb(), f"more than {MAX_PIXELS:,} pixels"),
    ],
    ids=["empty", "html", "svg", "truncated jpeg", "truncated png", "jpeg head alone", "bomb"],
)
def test_invalid_files_raise_an_image_error(data: bytes, message: str) -> None:
    with pytest.raises(ImageError, match=message) as caught:
        decode(data, name="upload.jpg")
    assert str(caught.value).startswith("upload.jpg: ")


def test_white_is_the_same_in_all_bands() -> None:
    """White is determined for the whole picture, not for each band of it."""
    levels = np.full((700, 5), 1000, np.uint16)
    levels[600:] = 65_535
    found = decode(saved(Image.fromarray(levels), "PNG"))
    assert found.shape == (700, 5, 3)
    assert set(found[:600].ravel()) == {round(1000 / 257)}
    assert set(found[600:].ravel()) == {255}


def test_a_large_image_is_not_copied_several_times() -> None:
    data = saved(Image.new("RGBA", (2000, 2000)), "PNG")
    tracemalloc.start()  # counts NumPy's memory, not Pillow's
    try:
        pixels = decode(data)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 1.5 * pixels.nbytes


def grey_profile(gamma: float) -> bytes:
    """Return an ICC profile (ICC.1:2001-04) of one grey channel with a power curve."""
    white = struct.pack(">3i", round(0.9642 * 65536), 65536, round(0.8249 * 65536))
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"grey\0" + bytes(4 + 4 + 2 + 1 + 67),
        b"wtpt": b"XYZ \0\0\0\0" + white,
        b"kTRC": b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0",
    }
    place = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        table += name + struct.pack(">II", place + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    head = struct.pack(">I4sI4s4s4s", place + len(body), bytes(4), 0x02100000, b"mntr", b"GRAY", b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + white + bytes(48)
    return head + table + body


def test_the_profile_of_a_grey_jpeg_is_honoured() -> None:
    stream = io.BytesIO()
    Image.new("L", (32, 32), 64).save(stream, "JPEG", quality=95, icc_profile=grey_profile(1.0))
    # Linear light of 64/255 in sRGB's curve: 1.055 · 0.251^(1/2.4) - 0.055 = 0.538.
    assert np.abs(decode(stream.getvalue()).astype(int) - 137).max() <= 2
