"""Colours, markers and dashes of all figures.

All of `CLASS_COLOURS` differ in lightness, neighbours more than others, so that they differ in grey, and
they differ for readers with protanopia, deuteranopia or tritanopia (tests/reports/test_palette.py has
the limits). Lists of classes are longer than any such palette, so that a class also has a marker;
`class_style` gives both.
"""

from __future__ import annotations

from typing import NamedTuple

INK, GREY, RULE = "#22201c", "#6f6a60", "#bdb4a3"
"""Text, secondary lines, and reference lines such as a diagonal."""

CLASS_COLOURS = (
    "#066496", "#e3a3a1", "#2f4642", "#7d9007", "#56220b", "#6696fc", "#747048", "#2ad9e4",
)  # fmt: skip
"""Colours of classes in the order of the class list, repeated for longer lists."""

_MARKERS = (
    "o",
    "^",
    "s",
    "D",
    "v",
    "P",
    "X",
    "<",
    "p",
)  # their number has no divisor in common with the colours'

FIRST, SECOND = CLASS_COLOURS[0], "#c4702a"
"""Colours of two series: lines or bars."""
DASHES = ("-", "--")
"""Their line styles."""
SPLITS = (("#066496", ""), ("#acaf70", "////"), ("#c24159", "...."))
"""Colours and hatches of training, validation and test split."""
PUBLISHED_INK = "#7d6a45"
"""Published values, hollow beside ours in `FIRST`."""

FRACTIONS = "Blues"
"""Colour map of fractions: its lightness falls steadily."""


class ClassStyle(NamedTuple):
    """How the images of a class are drawn."""

    colour: str
    marker: str


def class_style(index: int) -> ClassStyle:
    """Return colour and marker of a class; the pair is unique among `distinct_classes` classes."""
    return ClassStyle(class_colour(index), _MARKERS[index % len(_MARKERS)])


def class_colour(index: int) -> str:
    """Return the colour of a class."""
    return CLASS_COLOURS[index % len(CLASS_COLOURS)]


def distinct_classes() -> int:
    """Return the number of classes whose pairs of colour and marker all differ."""
    return len(CLASS_COLOURS) * len(_MARKERS)
