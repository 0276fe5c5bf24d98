"""Numbers in texts for readers."""

from __future__ import annotations

import pytest

from heritage.core.numbers import bounds, counted, with_interval


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
