"""Colour profiles are applied: decoded pixels are sRGB."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from heritage.core.image_io import _transform, decode

# Adobe RGB (1998): primaries as colorants adapted to the D50 white of profiles, and a gamma of 563/256.
COLORANTS = {
    "rXYZ": (0.60974, 0.31111, 0.01947),
    "gXYZ": (0.20528, 0.62567, 0.06087),
    "bXYZ": (0.14919, 0.06322, 0.74457),
}
GAMMA = 563 / 256
D50 = (0.9642, 1.0, 0.8249)
# XYZ (D50) to linear sRGB: the inverse of sRGB's own adapted colorants (IEC 61966-2-1, Bradford).
SRGB = np.linalg.inv(
    np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])
)


def adobe_profile() -> bytes:
    """Return an ICC version 2 matrix profile, put together by hand."""

    def fixed(values: tuple[float, ...]) -> bytes:
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    tags = {name: b"XYZ \0\0\0\0" + fixed(values) for name, values in {**COLORANTS, "wtpt": D50}.items()}
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(GAMMA * 256)) + b"\0\0"
    tags |= dict.fromkeys(("rTRC", "gTRC", "bTRC"), curve)
    text = b"wide\0"
    tags["desc"] = b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78 + 4 - len(text) % 4)
    tags["cprt"] = b"text\0\0\0\0none\0\0\0\0"
    offset = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        table += name.encode() + struct.pack(">II", offset + len(body), len(data))
        body += data
    size = offset + len(body)
    head = struct.pack(">I4sI4s4s4s", size, b"lcms", 0x02100000, b"mntr", b"RGB ", b"XYZ ") + bytes(12)
    head += b"acsp" + bytes(24) + struct.pack(">I", 0) + fixed(D50)
    return head + bytes(128 - len(head)) + table + body


def expected(pixels: np.ndarray) -> np.ndarray:
    """Convert from Adobe RGB by the formulas."""
    linear = (pixels / 255.0) ** GAMMA
    xyz = linear @ np.array(list(COLORANTS.values()))
    srgb = np.clip(xyz @ SRGB.T, 0, 1)
    coded = np.where(srgb <= 0.0031308, 12.92 * srgb, 1.055 * srgb ** (1 / 2.4) - 0.055)
    return np.asarray(coded * 255)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def patches() -> np.ndarray:
    """Colours that sRGB can show too, in squares large enough for JPEG."""
    colours = np.random.default_rng(0).integers(70, 190, (8, 8, 3)).astype(np.uint8)
    return np.repeat(np.repeat(colours, 16, axis=0), 16, axis=1)


@pytest.mark.parametrize(
    ("kind", "options"), [("JPEG", {"quality": 100, "subsampling": 0}), ("PNG", {}), ("TIFF", {})]
)
def test_a_wide_profile_is_converted(kind: str, options: dict[str, object]) -> None:
    pixels = patches()
    data = encoded(Image.fromarray(pixels), kind, icc_profile=adobe_profile(), **options)
    found = decode(data).astype(float)
    assert np.abs(found - expected(pixels)).mean() < 1.5
    assert np.abs(found - pixels).mean() > 5  # it is not what was stored


def test_transparency_survives_the_conversion() -> None:
    pixels = np.dstack([patches(), np.full((128, 128), 255, dtype=np.uint8)])
    pixels[:64, :, 3] = 0
    found = decode(encoded(Image.fromarray(pixels), "PNG", icc_profile=adobe_profile()))
    assert (found[:64] == 255).all()
    assert np.abs(found[64:] - expected(pixels[64:, :, :3])).mean() < 1.5


def test_srgb_and_damaged_profiles_change_nothing() -> None:
    image = Image.fromarray(patches())
    plain = decode(encoded(image, "JPEG"))
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (own, b"no profile", bytes(200_000), adobe_profile()[:300]):
        np.testing.assert_array_equal(decode(encoded(image, "JPEG", icc_profile=profile)), plain)


def test_a_profile_in_several_segments_is_joined() -> None:
    profile = adobe_profile() + bytes(100_000)
    pixels = patches()
    data = encoded(Image.fromarray(pixels), "JPEG", quality=100, subsampling=0, icc_profile=profile)
    assert data.count(b"ICC_PROFILE\0") == 2
    assert np.abs(decode(data).astype(float) - expected(pixels)).mean() < 1.5


def test_cmyk_is_read_with_its_profile_or_without() -> None:
    image = Image.fromarray(patches()).convert("CMYK")
    assert decode(encoded(image, "JPEG")).shape == (128, 128, 3)
    # A profile of another colour space is not applied.
    np.testing.assert_array_equal(
        decode(encoded(image, "JPEG", icc_profile=adobe_profile())), decode(encoded(image, "JPEG"))
    )


def test_an_oversized_profile_is_ignored() -> None:
    """Profiles are cached: uploaded ones of any length would fill the memory of a server."""
    before = _transform.cache_info()
    image = Image.fromarray(patches())
    ballast = adobe_profile() + bytes(5_000_000)
    assert len(decode(encoded(image, "WEBP", icc_profile=ballast)))
    assert _transform.cache_info() == before
