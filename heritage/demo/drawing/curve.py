"""Curves: lines and outlines. x runs to the right, y downwards."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from numpy.random import Generator

Points: TypeAlias = npt.NDArray[np.float64]
"""Vertices, shape (k, 2)."""
Angles: TypeAlias = npt.NDArray[np.float64]
Knots: TypeAlias = Sequence[tuple[float, float]]


def points(*pairs: tuple[float, float]) -> Points:
    """Points from (x, y) pairs."""
    return np.array(pairs, np.float64)


def placed(curve: Points, x: float, y: float, size: float = 1.0) -> Points:
    """A curve, enlarged and with its origin moved to (x, y)."""
    moved: Points = curve * size + np.array((x, y))
    return moved


def mirrored(curve: Points) -> Points:
    """The same curve with x negated."""
    image: Points = curve * np.array((-1.0, 1.0))
    return image


def both(curve: Points) -> list[Points]:
    """A curve and its mirror image."""
    return [curve, mirrored(curve)]


def whole(half: Points) -> Points:
    """Close the left half of an outline, drawn downwards, with its mirror image."""
    return np.concatenate([half, mirrored(half)[::-1]])


def spun(curve: Points, turn: float) -> Points:
    """A curve turned clockwise about the origin by ``turn`` radians."""
    cos, sin = np.cos(turn), np.sin(turn)
    turned: Points = curve @ np.array([[cos, sin], [-sin, cos]])
    return turned


def rectangle(wide: float, high: float) -> Points:
    """A rectangle round the origin, from its half width and half height."""
    return points((-wide, -high), (wide, -high), (wide, high), (-wide, high))


def arc(x: float, y: float, radius: float, start: float, end: float, count: int = 13) -> Points:
    """Part of a circle, from ``start`` to ``end`` radians, clockwise from the right."""
    angle = np.linspace(start, end, count)
    return np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], -1)


def turns(count: int) -> Angles:
    """Equal steps of a full turn, from 0 on, radians."""
    return np.arange(count, dtype=np.float64) * (2 * np.pi / count)


def ellipse(x: float, y: float, rx: float, ry: float, turn: float = 0.0, count: int = 24) -> Points:
    """An ellipse whose first axis is turned clockwise by ``turn`` radians."""
    angle = turns(count)
    return placed(spun(np.stack([rx * np.cos(angle), ry * np.sin(angle)], -1), turn), x, y)


def polar(radius: Callable[[Angles], Angles], count: int = 96) -> Points:
    """The closed curve whose distance from the origin is ``radius(angle)``."""
    angle = turns(count)
    return np.stack([np.cos(angle), np.sin(angle)], -1) * radius(angle)[:, None]


def spiral(x: float, y: float, radius: float, start: float, turns: float, count: int = 22) -> Points:
    """A spiral that winds inwards from ``radius``; positive turns run clockwise."""
    fall = radius * np.linspace(1, 0.12, count)
    angle = start + np.linspace(0, 2 * np.pi * turns, count)
    return np.stack([x + fall * np.cos(angle), y + fall * np.sin(angle)], -1)


def spline(knots: Knots | Points, steps: int = 6) -> Points:
    """A Catmull-Rom curve through the knots (Catmull & Rom 1974), with ``steps`` points to a span."""
    p: Points = np.asarray(knots, np.float64)
    p = np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    a, b, c, d = _blend(steps)
    curve = a * p[:-3, None] + b * p[1:-2, None] + c * p[2:-1, None] + d * p[3:, None]
    return np.concatenate([curve.reshape(-1, 2), p[-2:-1]])


@functools.cache
def _blend(steps: int) -> Points:
    """Weights of the four knots round a span, shape (4, steps, 1)."""
    t = np.arange(steps) / steps
    weights = [2 * t**2 - t - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2]
    return np.stack(weights)[..., None] / 2


def limb(knots: Knots, widths: Sequence[float], steps: int = 6) -> Points:
    """The outline of a tapering stroke: an arm, a horn, a leaf.

    Args:
        knots: Points of the middle line.
        widths: Full width at each knot.
        steps: Points to a span.
    """
    middle = spline(knots, steps)
    place = np.arange(len(middle)) * ((len(widths) - 1) / (len(middle) - 1))
    half: Angles = np.interp(place, np.arange(len(widths)), widths) / 2
    along: Points = np.empty_like(middle)
    along[1:-1] = middle[2:] - middle[:-2]
    along[0], along[-1] = middle[1] - middle[0], middle[-1] - middle[-2]
    along *= (half / np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-9))[:, None]
    across = along[:, ::-1] * np.array((-1.0, 1.0))
    return np.concatenate([middle + across, (middle - across)[::-1]])


def around(count: int, radius: float, x: float = 0.0, y: float = 0.0) -> tuple[Points, Angles]:
    """Places on a circle, shape (count, 2), and the turns that point a motif's top outwards."""
    angle = turns(count)
    return np.stack([x + radius * np.sin(angle), y - radius * np.cos(angle)], -1), angle


def ragged(rng: Generator, outline: Points, amount: float, steps: int = 9) -> Points:
    """Break the edges of a polygon: ``steps`` vertices an edge, each moved by about ``amount``."""
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    edges = outline[:, None] * (1 - t) + np.roll(outline, -1, axis=0)[:, None] * t
    return edges.reshape(-1, 2) + rng.normal(0, amount, (steps * len(outline), 2))
