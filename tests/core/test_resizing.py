"""Images of any shape and mode are resized to squares, compared with Pillow."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from heritage.core.image_io import decode
from heritage.core.resizing import Resizing
from tests.curation.raw_folders import photograph


@pytest.mark.parametrize(("width", "height"), [(900, 600), (600, 900), (50, 40), (30, 400), (64, 64), (1, 1)])
@pytest.mark.parametrize("way", ["stretch", "crop", "pad"])
def test_any_shape_is_resized_to_the_square(way: str, width: int, height: int) -> None:
    found = Resizing(64, way, 92)(photograph(1, width, height))  # type: ignore[arg-type]
    assert found.shape == (64, 64, 3)
    assert found.dtype == np.uint8


def test_stretching_is_close_to_lanczos() -> None:
    pixels = photograph(4, 900, 700)
    expected = np.asarray(Image.fromarray(pixels).resize((64, 64), Image.Resampling.LANCZOS)).astype(float)
    found = Resizing(64, "stretch", 92)(pixels)
    assert 10 * np.log10(255**2 / np.mean((found - expected) ** 2)) > 40


def test_cropping_keeps_the_centre_and_padding_everything() -> None:
    pixels = np.full((100, 300, 3), 200, dtype=np.uint8)
    pixels[:, 100:200] = 50
    assert (Resizing(60, "crop", 92)(pixels) == 50).all()
    padded = Resizing(60, "pad", 92)(pixels)
    assert (padded[30, 25:35] == 50).all()
    assert (padded[0] == 200).all()  # the colour of the photograph's own edge
    assert (padded[30, :15] == 200).all()


def test_all_modes_give_the_same_image() -> None:
    original = photograph(2, 200, 200)
    image = Image.fromarray(original)
    pixels = Resizing(64, "stretch", 92)(original).astype(float)
    for mode, kind in (("CMYK", "TIFF"), ("P", "PNG"), ("RGBA", "PNG"), ("RGB", "WEBP")):
        stream = io.BytesIO()
        image.convert(mode).save(stream, kind)
        found = Resizing(64, "stretch", 92)(decode(stream.getvalue()))
        assert np.abs(found - pixels).mean() < 12, mode


def test_sixteen_bits_keep_their_levels() -> None:
    levels = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    stream = io.BytesIO()
    Image.fromarray(levels).save(stream, "PNG")
    assert np.abs(decode(stream.getvalue())[..., 0] - levels / 257).max() <= 1
