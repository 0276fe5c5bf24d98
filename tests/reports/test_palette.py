"""The palette, as colour-blind readers and readers of grey prints see it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from heritage.reports.palette import (
    CLASS_COLOURS,
    DASHES,
    FIRST,
    PUBLISHED_INK,
    SECOND,
    class_style,
    distinct_classes,
)
from tests.reports.colour_vision import VISION, ciede2000, lab


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, 2.5, 0), (73, 25, -18), 27.1492),
        ((50, 2.5, 0), (50, 0, -2.5), 4.3065),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ],
)
def test_ciede2000_on_published_pairs(
    one: tuple[float, ...], other: tuple[float, ...], distance: float
) -> None:
    assert ciede2000(np.array(one), np.array(other)) == pytest.approx(distance, abs=1e-4)
    assert ciede2000(np.array(other), np.array(one)) == pytest.approx(distance, abs=1e-4)


def test_the_simulation_leaves_greys_and_makes_red_and_green_similar() -> None:
    for vision in VISION:
        assert lab("#808080", vision) == pytest.approx(lab("#808080"), abs=0.1)
    red, green = "#c24159", "#3d7a2f"
    assert ciede2000(lab(red), lab(green)) > 40
    assert ciede2000(lab(red, "deuteranopia"), lab(green, "deuteranopia")) < 30


@pytest.mark.parametrize("vision", VISION)
def test_colours_of_classes_differ_for_every_reader(vision: str) -> None:
    seen = [lab(colour, vision) for colour in CLASS_COLOURS]
    assert min(ciede2000(a, b) for a, b in itertools.combinations(seen, 2)) > 12
    neighbours = zip(seen, [*seen[1:], seen[0]], strict=True)
    assert min(ciede2000(a, b) for a, b in neighbours) > 22


def test_colours_of_classes_differ_in_grey_and_on_white() -> None:
    lightness = [float(lab(colour)[0]) for colour in CLASS_COLOURS]
    assert min(abs(a - b) for a, b in itertools.combinations(lightness, 2)) > 5
    assert min(abs(a - b) for a, b in zip(lightness, [*lightness[1:], lightness[0]], strict=True)) > 12
    assert max(lightness) < 80, "too pale on white paper"


def test_more_classes_than_colours_differ_by_marker() -> None:
    styles = [class_style(index) for index in range(distinct_classes())]
    assert len(set(styles)) == distinct_classes() >= 60
    assert all(a.colour != b.colour and a.marker != b.marker for a, b in itertools.pairwise(styles))


@pytest.mark.parametrize("vision", VISION)
def test_two_series_differ_for_every_reader_and_by_line_style(vision: str) -> None:
    assert ciede2000(lab(FIRST, vision), lab(SECOND, vision)) > 20
    assert ciede2000(lab(FIRST, vision), lab(PUBLISHED_INK, vision)) > 15
    assert abs(float(lab(FIRST)[0] - lab(SECOND)[0])) > 12
    assert len(set(DASHES)) == 2
