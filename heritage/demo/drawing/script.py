"""Pseudo-writing: hieroglyphs, cuneiform, letters, kufic, Chinese characters."""

from __future__ import annotations

import functools

import numpy as np
from numpy.random import Generator

from heritage.demo.drawing.canvas import Canvas, Motif, Stroke, Tone
from heritage.demo.drawing.curve import Points, arc, ellipse, limb, placed, points, spline


def _pen(*pairs: tuple[float, float], width: float = 0.22) -> Stroke:
    return Stroke(points(*pairs), width)


@functools.cache
def hieroglyphs() -> tuple[Motif, ...]:
    """Sixteen signs that recall Egyptian ones, each in a cell [-1, 1] squared."""
    ripple = points(*((-0.9 + 0.3 * k, (-0.18, 0.18)[k % 2]) for k in range(7)))
    water = tuple(Stroke(placed(ripple, 0, y), 0.22) for y in (-0.5, 0, 0.5))
    legs = (
        _pen((-0.1, 0.3), (-0.15, 0.95), (-0.4, 0.95), width=0.13),
        _pen((0.15, 0.4), (0.1, 0.95), width=0.13),
    )
    vulture = limb([(-0.55, -0.7), (-0.4, -0.35), (0, 0.1), (0.7, 0.6)], [0.2, 0.4, 0.6, 0.1])
    beak = points((-0.5, -0.75), (-0.9, -0.6), (-0.5, -0.55))
    chick = limb([(-0.3, -0.55), (0, 0), (0.3, 0.4)], [0.3, 0.6, 0.3])
    loop = Stroke(ellipse(0, -0.5, 0.26, 0.4), 0.22, closed=True)
    lid = spline([(-0.95, 0), (-0.4, -0.4), (0.4, -0.35), (0.95, 0), (0.3, 0.3), (-0.4, 0.25), (-0.95, 0)])
    reed = limb([(0, 0.95), (0.1, 0.2), (-0.1, -0.5), (0.25, -0.95)], [0.15, 0.2, 0.5, 0.1])
    viper = spline([(-0.95, 0.3), (-0.5, -0.2), (-0.1, 0.3), (0.3, 0.1), (0.6, -0.6), (0.95, -0.5)])
    feet = [_pen((0, y), (s * 0.75, y - 0.35), width=0.13) for y in (-0.2, 0.2, 0.5) for s in (-1, 1)]
    forearm = limb([(-0.8, 0.1), (0, 0), (0.75, 0.05)], [0.15, 0.4, 0.3])
    seated = limb([(0, -0.3), (-0.1, 0.3), (0.1, 0.9)], [0.4, 0.7, 0.9])
    return (
        water,
        (Stroke(vulture), Stroke(beak), *legs),
        (Stroke(chick), Stroke(ellipse(-0.35, -0.65, 0.28, 0.26)), *legs),
        (loop, _pen((0, -0.1), (0, 0.95)), _pen((-0.55, 0.1), (0.55, 0.1))),
        (Stroke(lid, 0.16, closed=True), Stroke(ellipse(0, -0.05, 0.24, 0.24))),
        (Stroke(reed),),
        (Stroke(arc(0, -0.1, 0.8, 0, np.pi)),),
        (Stroke(arc(0, 0.4, 0.7, np.pi, 2 * np.pi)),),
        (Stroke(ellipse(0, 0, 0.7, 0.7), 0.18, closed=True), Stroke(ellipse(0, 0, 0.25, 0.25))),
        (Stroke(viper, 0.22),),
        (_pen((-0.3, -0.95), (-0.15, 0.5), (0.7, 0.6), width=0.32),),
        (_pen((-0.8, -0.6), (0.8, -0.6), (0.8, 0.6), (0.2, 0.6), (0.2, 0), (-0.8, 0)),),
        (Stroke(ellipse(0, 0.05, 0.4, 0.6)), *feet),
        (Stroke(forearm), _pen((0.5, 0.1), (0.5, -0.5), width=0.16)),
        (Stroke(points((-0.5, -0.9), (0.5, -0.9), (0, 0.1))), _pen((0, -0.1), (0, 0.95))),
        (Stroke(ellipse(0, -0.6, 0.28, 0.3)), Stroke(seated)),
    )


def write_columns(
    canvas: Canvas, rng: Generator, box: tuple[float, float, float, float], width: float, ink: Tone
) -> None:
    """Fill a box (left, top, right, bottom) with ruled columns of hieroglyphs ``width`` wide."""
    left, top, right, bottom = box
    columns = max(1, round((right - left) / width))
    step = (right - left) / columns
    signs = hieroglyphs()
    rules = [points((left + k * step, top), (left + k * step, bottom)) for k in range(columns + 1)]
    canvas.line(rules, ink, step * 0.05)
    written = _Signs(signs)
    for k in range(columns):
        y = top + step * 0.5
        while y < bottom - step * 0.4:
            small = rng.random() < 0.35
            for offset in (-0.23, 0.23) if small else (0.0,):
                written.add(rng, (left + (k + 0.5 + offset) * step, y), small)
            y += step * (0.47 if small else 0.85)
    written.stamp(canvas, (step * 0.36, step * 0.2), ink)


class _Signs:
    """Signs and their places, gathered so that each sign is stamped everywhere at once."""

    def __init__(self, signs: tuple[Motif, ...]) -> None:
        self._signs = signs
        self._places: dict[tuple[int, bool], list[tuple[float, float]]] = {}

    def add(self, rng: Generator, place: tuple[float, float], small: bool) -> None:
        """Put a sign chosen at random at a place, in the larger or the smaller size."""
        self._places.setdefault((int(rng.integers(len(self._signs))), small), []).append(place)

    def stamp(self, canvas: Canvas, sizes: tuple[float, float], ink: Tone) -> None:
        """Draw the collected signs; ``sizes`` are the larger and the smaller one."""
        for (sign, small), places in self._places.items():
            canvas.stamp(self._signs[sign], places, sizes[small], (ink,))


def wedges(rng: Generator, box: tuple[float, float, float, float], rows: int) -> list[Points]:
    """Cuneiform: rows of nail-shaped outlines in a box (left, top, right, bottom).

    Each wedge has a broad head and a tail that runs right, down or aslant.
    """
    left, top, right, bottom = box
    step = (bottom - top) / rows
    count = int((right - left) / step * 2.6)
    x = left + (np.arange(count) + rng.uniform(0.1, 0.9, (rows, count))) * ((right - left) / count)
    level = rng.choice(np.array([-0.24, 0.0, 0.24]), (rows, count))
    y = top + (np.arange(rows)[:, None] + 0.5 + level) * step
    turn = rng.choice(np.array([0.0, 0.0, np.pi / 2, np.pi / 2, 0.75]), (rows, count)).reshape(-1)
    length = rng.uniform(0.35, 0.8, rows * count) * step
    nail = points((-0.15, -0.24), (0.2, -0.05), (1, 0), (0.2, 0.05), (-0.15, 0.24))
    keep = (rng.random((rows, count)) < 0.9).reshape(-1)
    cos, sin = np.cos(turn), np.sin(turn)
    spin = np.stack([np.stack([cos, sin], -1), np.stack([-sin, cos], -1)], -2)
    start = np.stack([x, np.where(turn.reshape(rows, count) > 0.1, y - 0.25 * step, y)], -1).reshape(-1, 1, 2)
    drawn = (nail * length[:, None, None] * (1, 1.25)) @ spin + start
    return list(drawn[keep])


@functools.cache
def letters() -> tuple[Motif, ...]:
    """Greek and Coptic capitals in a cell [-1, 1] squared, drawn with a broad pen."""
    c = arc(0.1, 0, 0.8, 0.8, 2 * np.pi - 0.8)
    forms: tuple[tuple[Points, ...], ...] = (
        (points((-0.7, 0.9), (0, -0.9), (0.7, 0.9)), points((-0.4, 0.2), (0.4, 0.2))),
        (c, points((-0.6, 0), (0.4, 0))),
        (c,),
        (points((-0.6, 0.9), (-0.6, -0.9)), points((0.6, 0.9), (0.6, -0.9)), points((-0.6, 0), (0.6, 0))),
        (points((0, -0.9), (0, 0.9)),),
        (points((-0.5, 0.9), (-0.5, -0.9)), points((0.6, -0.9), (-0.5, 0.1), (0.7, 0.9))),
        (points((-0.7, 0.9), (0, -0.9), (0.7, 0.9)),),
        (points((-0.7, 0.9), (-0.6, -0.9), (0, 0.4), (0.6, -0.9), (0.7, 0.9)),),
        (points((-0.6, 0.9), (-0.6, -0.9), (0.6, 0.9), (0.6, -0.9)),),
        (ellipse(0, 0, 0.75, 0.85),),
        (points((-0.6, 0.9), (-0.6, -0.9), (0.6, -0.9), (0.6, 0.9)),),
        (points((-0.4, 0.9), (-0.4, -0.9)), arc(-0.4, -0.4, 0.55, -1.5, 1.5)),
        (points((-0.8, -0.85), (0.8, -0.85)), points((0, -0.85), (0, 0.9))),
        (points((-0.6, -0.9), (0, 0)), points((0.6, -0.9), (-0.3, 0.9))),
        (ellipse(0, 0, 0.6, 0.45), points((0, -1), (0, 1))),
        (spline([(-0.8, -0.5), (-0.6, 0.8), (0, 0.2), (0.6, 0.8), (0.8, -0.5)]),),
    )
    return tuple(tuple(Stroke(line, 0.3) for line in form) for form in forms)


def write_lines(
    canvas: Canvas,
    rng: Generator,
    box: tuple[float, float, float, float],
    rows: int,
    ink: Tone,
    slope: float = 0.0,
) -> None:
    """Fill a box with rows of Greek or Coptic capitals."""
    left, top, right, bottom = box
    step = (bottom - top) / rows
    written = _Signs(letters())
    for row in range(rows):
        short = rng.uniform(0.0, 0.25) * (right - left) if row == rows - 1 else 0.0
        x = left + step * rng.uniform(0.2, 0.5)
        while x < right - short - step * 0.3:
            written.add(rng, (x, top + (row + 0.5) * step + slope * (x - left)), rng.random() < 0.3)
            x += step * rng.choice((0.55, 0.55, 0.6, 0.85))
    written.stamp(canvas, (step * 0.29, step * 0.26), ink)


def kufic(rng: Generator, aspect: float) -> Motif:
    """A line of angular script: letters on one base line with tall uprights.

    Args:
        rng: Where the letters come from.
        aspect: Width over height which the cell [-1, 1] squared will be given.
    """
    count = max(2, round(aspect * 2.4))
    step = 2.0 / count
    strokes = [Stroke(points((-1, 0.55), (1, 0.55)), 0.2)]
    for k in range(count):
        x, left, right = (-1 + (k + offset) * step for offset in (0.5, 0.2, 0.8))
        form = rng.integers(5)
        if form <= 1:
            strokes.append(Stroke(points((x, 0.55), (x, -0.95), (right, -0.7)), 0.2))
        elif form == 2:
            strokes.append(Stroke(points((left, 0.55), (left, -0.1), (right, -0.1), (right, 0.55)), 0.16))
        elif form == 3:
            strokes.append(Stroke(spline([(left, 0.5), (x, 0.95), (right, 0.6)]), 0.2))
        else:
            strokes.append(Stroke(points((x, 0.55), (x, 0.1)), 0.2))
    return tuple(strokes)


def cursive(rng: Generator, aspect: float) -> Motif:
    """A line of flowing script with uprights, bowls and dots; the arguments are those of `kufic`."""
    step = 0.85
    strokes = []
    for x in np.arange(aspect - 0.5, 0.4 - aspect, -step):
        bowl = rng.uniform(0.3, 0.8)
        strokes.append(
            limb(
                [(x + 0.5, 0.1), (x + 0.17, bowl), (x - 0.34, 0.35), (x - 0.5, 0.05)],
                [0.08, 0.2, 0.24, 0.05],
                4,
            )
        )
        if rng.random() < 0.5:
            strokes.append(limb([(x + 0.3, 0.4), (x + 0.26, -0.4), (x + 0.1, -1)], [0.12, 0.16, 0.1], 4))
        if rng.random() < 0.6:
            strokes.append(ellipse(x, rng.choice((-0.25, 0.9)), 0.12, 0.1, count=8))
    return tuple(Stroke(outline / np.array((aspect, 1.0))) for outline in strokes)


def character(rng: Generator) -> Motif:
    """A square sign of brush strokes, as in Chinese writing, in a cell [-1, 1] squared."""
    strokes = [
        Stroke(limb([(-0.8, y), (0, y - 0.05), (0.8, y + 0.02)], [0.14, 0.1, 0.2], 3))
        for y in rng.choice(np.array([-0.75, -0.35, 0.05, 0.5]), rng.integers(2, 4), replace=False)
    ]
    strokes += [
        Stroke(limb([(x, -0.9), (x, 0.1), (x, 0.85)], [0.2, 0.14, 0.1], 3))
        for x in rng.choice(np.array([-0.5, 0.0, 0.5]), rng.integers(1, 3), replace=False)
    ]
    if rng.random() < 0.6:
        strokes += [
            Stroke(limb([(0, 0), (s * 0.4, 0.5), (s * 0.85, 0.9)], [0.1, 0.14, 0.2], 3)) for s in (-1, 1)
        ]
    return tuple(strokes)  # fmt: skip
