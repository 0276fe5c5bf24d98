"""Kinds of object: how they are drawn and labelled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from heritage.demo.drawing.shading import Pose, Surface


@dataclass(frozen=True, slots=True)
class Origin:
    """Origin of a kind of object.

    Attributes:
        culture: The culture.
        periods: (name, first year, last year); years before the common era are negative.
    """

    culture: str
    periods: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of object.

    Attributes:
        name: Its name in records.
        frequency: Its relative frequency in its class.
        draw: Draws an object of this kind.
        titles: Possible titles.
        origin: Its origin.
        roll: Maximum rotation in the image plane, in radians.
        breaks: Probability that only a sherd is left.
    """

    name: str
    frequency: float
    draw: Callable[[Pose], Surface]
    titles: tuple[str, ...]
    origin: Origin
    roll: float = 0.04
    breaks: float = 0.0
