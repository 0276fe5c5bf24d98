"""The palette, as colour-blind readers and readers of grey prints see it."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from heritage.reports.palette import (
    CLASS_COLOURS,
    DASHES,
    FIRST,
    FRACTIONS,
    PUBLISHED_INK,
    SECOND,
    SPLITS,
    class_style,
    distinct_classes,
)
from tests.reports.colour_vision import VISION, ciede2000, grey_lightness, lab, printed_grey


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
    assert min(ciede2000(a, b) for a, b in itertools.combinations(seen, 2)) > 15
    neighbours = zip(seen, [*seen[1:], seen[0]], strict=True)
    assert min(ciede2000(a, b) for a, b in neighbours) > 24


@pytest.mark.parametrize("lightness", [grey_lightness, lambda colour: float(lab(colour)[0])])
def test_colours_of_classes_differ_in_grey_and_on_white(lightness: Callable[[str], float]) -> None:
    seen = [lightness(colour) for colour in CLASS_COLOURS]
    assert min(abs(a - b) for a, b in itertools.combinations(seen, 2)) > 5
    assert min(abs(a - b) for a, b in zip(seen, [*seen[1:], seen[0]], strict=True)) > 14
    assert max(seen) < 80, "too pale on white paper"


def test_a_print_in_grey_is_that_of_pillow() -> None:
    for colour in CLASS_COLOURS:
        grey = Image.new("RGB", (1, 1), colour).convert("L").getpixel((0, 0))
        assert printed_grey(colour) == f"#{grey:02x}{grey:02x}{grey:02x}"


def test_splits_differ_in_grey_and_by_hatch() -> None:
    seen = sorted(grey_lightness(colour) for colour, _ in SPLITS)
    assert min(b - a for a, b in itertools.pairwise(seen)) > 11
    assert len({hatch for _, hatch in SPLITS}) == len(SPLITS)


def test_the_colour_map_of_fractions_is_darker_for_higher_ones_in_grey() -> None:
    shades = [to_hex(mpl.colormaps[FRACTIONS](value)) for value in np.linspace(0, 1, 11)]
    seen = [grey_lightness(shade) for shade in shades]
    assert min(a - b for a, b in itertools.pairwise(seen)) > 2
    assert seen[0] - seen[-1] > 60


def test_more_classes_than_colours_differ_by_marker() -> None:
    styles = [class_style(index) for index in range(distinct_classes())]
    assert len(set(styles)) == distinct_classes() >= 60
    assert all(a.colour != b.colour and a.marker != b.marker for a, b in itertools.pairwise(styles))


@pytest.mark.parametrize("vision", VISION)
def test_two_series_differ_for_every_reader_and_by_line_style(vision: str) -> None:
    assert ciede2000(lab(FIRST, vision), lab(SECOND, vision)) > 20
    assert ciede2000(lab(FIRST, vision), lab(PUBLISHED_INK, vision)) > 15
    assert abs(grey_lightness(FIRST) - grey_lightness(SECOND)) > 20
    assert len(set(DASHES)) == 2
