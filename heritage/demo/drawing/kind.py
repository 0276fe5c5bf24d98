"""Kinds of object: how one is drawn and what a label says of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from heritage.demo.drawing.shading import Sitting, Surface


@dataclass(frozen=True, slots=True)
class Origin:
    """Where and when a kind of object was made.

    Attributes:
        culture: The people or the place.
        periods: (name, first year, last year); years before the common era are negative.
    """

    culture: str
    periods: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of object.

    Attributes:
        name: What a museum calls it.
        share: How common it is within its class, relative to the other kinds.
        draw: Draws one.
        titles: Titles that fit.
        origin: Where and when it was made.
        roll: How far it may lie turned in the picture, radians either way.
        breaks: Chance that only a sherd is left.
    """

    name: str
    share: float
    draw: Callable[[Sitting], Surface]
    titles: tuple[str, ...]
    origin: Origin
    roll: float = 0.04
    breaks: float = 0.0
