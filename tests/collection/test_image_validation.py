"""Validation of photographs by their content."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from heritage.collection.image_validation import file_stem, file_suffix, validate_image
from heritage.errors import ImageError
from tests.collection.faults import bomb_png, jpeg


def encoded(kind: str, size: tuple[int, int] = (90, 70), orientation: int = 1) -> bytes:
    noise = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    out, exif = io.BytesIO(), Image.Exif()
    exif[274] = orientation
    Image.fromarray(noise).save(out, kind, exif=exif)
    return out.getvalue()


def check(data: bytes, min_side: int = 32) -> tuple[str, int, int]:
    found = validate_image(data, "1_MET_1", min_side=min_side, placeholders=frozenset())
    return found.file, found.width, found.height


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [
        ("JPEG", ".jpg"),
        ("PNG", ".png"),
        ("WEBP", ".webp"),
        ("TIFF", ".tif"),
        ("GIF", ".gif"),
        ("BMP", ".bmp"),
    ],
)
def test_the_suffix_follows_the_content(kind: str, suffix: str) -> None:
    assert file_suffix(encoded(kind), "1") == suffix
    assert check(encoded(kind)) == (f"images/1_MET_1{suffix}", 90, 70)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_sizes_respect_the_exif_orientation(orientation: int) -> None:
    expected = (2100, 1400) if orientation < 5 else (1400, 2100)
    assert check(encoded("JPEG", (2100, 1400), orientation))[1:] == expected


@pytest.mark.parametrize("part", [0.02, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_file_cut_short_anywhere_is_refused(kind: str, part: float) -> None:
    data = encoded(kind, (1200, 800))
    with pytest.raises(ImageError):
        check(data[: int(len(data) * part)])


def test_bombs_small_images_and_other_files_are_refused() -> None:
    for data in (bomb_png(), jpeg(1, 27), b"", b"<html>", b"\xff\xd8\xff", b"%PDF-1.7"):
        with pytest.raises(ImageError):
            check(data)
    assert check(jpeg(1, 27), min_side=27)[1:] == (27, 27)


def test_names_follow_the_convention() -> None:
    assert [file_stem(3, "MET", "77", position) for position in (0, 1, 2)] == [
        "3_MET_77",
        "3_MET_77-2",
        "3_MET_77-3",
    ]
