"""Numbers in texts for readers."""

from __future__ import annotations

import math
import re

import pytest

from heritage.core.files import PACKAGE
from heritage.core.numbers import bounds, counted, percent, with_interval


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [(1, "image", "1 image"), (0, "image", "0 images"), (1500, "image", "1,500 images"),
     (1, "class", "1 class"), (6, "class", "6 classes")],
)  # fmt: skip
def test_one_is_singular(number: int, noun: str, text: str) -> None:
    assert counted(number, noun) == text


def test_an_interval_without_width_is_one_number() -> None:
    assert bounds(0.91, 0.95) == "0.910–0.950"
    assert bounds(0.99996, 1.0) == "1.000"
    assert with_interval(1.0, 1.0, 1.0) == "1.000"
    assert with_interval(0.9, 0.8, 1.0, digits=2) == "0.90 (0.80–1.00)"


@pytest.mark.parametrize(
    ("fraction", "digits", "text"),
    [(0.95, 0, "95 %"), (0.123, 1, "12.3 %"), (1.0, 1, "100.0 %"), (None, 1, "–"), (math.nan, 0, "–")],
)
def test_a_percentage_has_a_blank_before_its_sign(fraction: float | None, digits: int, text: str) -> None:
    assert percent(fraction, digits) == text
    if fraction is not None and fraction == fraction:
        assert percent(fraction, digits, signed=True) == f"+{text}"


def test_percentages_are_written_in_one_way() -> None:
    formatted = re.compile(r":[+]?\.?\d*%[}\"]")
    for path in sorted(PACKAGE.rglob("*.py")):
        assert not formatted.search(path.read_text(encoding="utf-8")), f"{path}: use percent()"
    written = re.compile(r"(?<![\w`%])\d+(?:\.\d+)?%(?![0-9A-F]{2}|[\w`}])")
    documents = [*sorted((PACKAGE.parent / "docs").glob("*.md")), PACKAGE.parent / "README.md"]
    for path in documents:
        found = written.search(path.read_text(encoding="utf-8"))
        assert found is None, f"{path}: write {found[0][:-1]} %"
