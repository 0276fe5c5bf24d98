"""People, animals and boats as silhouettes: limbs that taper, in a cell [-1, 1] squared, facing right."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from heritage.demo.drawing.canvas import Motif, Stroke
from heritage.demo.drawing.curve import Knots, ellipse, limb, points, spline


def _limb(knots: Knots, *widths: float, ink: int = 0) -> Stroke:
    return Stroke(limb(knots, widths, 4), 0.0, ink)


def _line(knots: Knots, width: float = 0.05, ink: int = 0) -> Stroke:
    return Stroke(np.array(knots, np.float64), width, ink)


def _blob(x: float, y: float, rx: float, ry: float, ink: int = 0) -> Stroke:
    return Stroke(ellipse(x, y, rx, ry, count=14), 0.0, ink)


@functools.cache
def warrior() -> Motif:
    """A striding man with spear and round shield, as on Greek vases."""
    return (
        _limb([(-0.02, -0.1), (-0.2, 0.35), (-0.45, 0.88)], 0.24, 0.17, 0.08),
        _limb([(0.02, -0.1), (0.3, 0.3), (0.24, 0.92), (0.45, 0.96)], 0.24, 0.17, 0.09, 0.05),
        _limb([(-0.02, -0.62), (0, -0.35), (0, -0.05)], 0.36, 0.28, 0.26),
        _blob(0.06, -0.8, 0.13, 0.14),
        _limb([(-0.1, -1.0), (0.05, -0.98), (0.2, -0.85)], 0.04, 0.12, 0.03),
        _limb([(-0.12, -0.55), (-0.45, -0.4), (-0.4, -0.7)], 0.13, 0.1, 0.06),
        _line([(-0.75, -0.95), (0.5, -0.25)]),
        _blob(0.3, -0.35, 0.27, 0.27),
        Stroke(ellipse(0.3, -0.35, 0.2, 0.2, count=14), 0.05, 1, closed=True),
        _line([(-0.1, -0.3), (0.05, 0.0)], 0.05, 1),
    )


@functools.cache
def lady() -> Motif:
    """A draped woman holding out a wreath."""
    folds = [_line([(x * 0.4, -0.3), (x, 0.9)], 0.045, 1) for x in (-0.22, -0.05, 0.12)]
    return (
        _limb([(0, -0.6), (0, -0.15), (0.02, 0.4), (0.0, 0.96)], 0.26, 0.24, 0.42, 0.62),
        _blob(0.04, -0.8, 0.13, 0.15),
        _blob(-0.11, -0.84, 0.1, 0.09),
        _limb([(0.05, -0.5), (0.35, -0.35), (0.58, -0.55)], 0.12, 0.09, 0.06),
        Stroke(ellipse(0.66, -0.66, 0.13, 0.13, count=10), 0.06, 0, closed=True),
        *folds,
    )


@functools.cache
def kilted() -> Motif:
    """An Egyptian striding with a staff: broad shoulders, kilt and wig."""
    return (
        _limb([(-0.06, 0.2), (-0.25, 0.9), (-0.05, 0.94)], 0.15, 0.1, 0.05),
        _limb([(0.08, 0.2), (0.25, 0.9), (0.45, 0.94)], 0.15, 0.1, 0.05),
        Stroke(points((-0.38, -0.55), (0.38, -0.55), (0.12, 0.0), (-0.12, 0.0))),
        Stroke(points((-0.15, -0.05), (0.13, -0.05), (0.42, 0.42), (-0.22, 0.4)), 0.0, 1),
        _blob(0.06, -0.78, 0.13, 0.15),
        _limb([(0.02, -0.97), (-0.12, -0.8), (-0.12, -0.5)], 0.12, 0.24, 0.14, ink=2),
        _limb([(0.34, -0.5), (0.4, -0.2), (0.62, -0.2)], 0.09, 0.08, 0.06),
        _limb([(-0.34, -0.5), (-0.4, -0.1), (-0.32, 0.2)], 0.09, 0.08, 0.06),
        _line([(0.64, -0.75), (0.64, 0.95)], 0.06, 2),
    )


@functools.cache
def genius() -> Motif:
    """A robed figure with wings and a bucket, as on Assyrian walls and seals."""
    feathers = [_line([(-0.12, -0.42), (-0.92, y)], 0.06, 1) for y in (-0.75, -0.5, -0.2)]
    return (
        _limb([(-0.1, -0.45), (-0.5, -0.6), (-0.95, -0.75)], 0.2, 0.4, 0.1),
        _limb([(-0.1, -0.35), (-0.5, -0.15), (-0.85, 0.3)], 0.2, 0.36, 0.1),
        *feathers,
        _limb([(0, -0.6), (0.02, 0), (0, 0.9)], 0.3, 0.34, 0.46),
        _blob(0.05, -0.78, 0.14, 0.15),
        _limb([(0.12, -0.72), (0.16, -0.6), (0.1, -0.45)], 0.1, 0.14, 0.06),
        _limb([(0.0, -1.0), (0.02, -0.88)], 0.12, 0.24),
        _limb([(0.08, -0.5), (0.4, -0.5), (0.6, -0.7)], 0.12, 0.1, 0.08),
        _limb([(0.08, -0.4), (0.3, -0.1), (0.45, -0.05)], 0.12, 0.1, 0.06),
        Stroke(points((0.36, 0.0), (0.6, 0.0), (0.56, 0.25), (0.4, 0.25))),
        _line([(-0.15, 0.55), (0.2, 0.55)], 0.05, 1),
        _line([(-0.18, 0.75), (0.2, 0.75)], 0.05, 1),
    )


@functools.cache
def orant() -> Motif:
    """A frontal figure with raised hands, the early Christian gesture of prayer."""
    arms = [_limb([(s * 0.16, -0.45), (s * 0.5, -0.3), (s * 0.55, -0.75)], 0.2, 0.15, 0.1) for s in (-1, 1)]
    return (
        _blob(0, -0.72, 0.28, 0.28, 1),
        *arms,
        _limb([(0, -0.5), (0, 0.1), (0, 0.95)], 0.4, 0.42, 0.6),
        _blob(0, -0.72, 0.15, 0.19, 2),
        _blob(-0.05, -0.74, 0.025, 0.03),
        _blob(0.05, -0.74, 0.025, 0.03),
        _line([(0, -0.4), (0, 0.9)], 0.07, 1),
    )


def _four_legs(x0: float, x1: float, top: float, foot: float, width: float) -> list[Stroke]:
    knee = (top + foot) / 2
    steps = ((x0, -0.1), (x0 + 0.14, 0.1), (x1 - 0.14, -0.06), (x1, 0.12))
    legs = [[(x, top), (x + d, knee), (x + d * 0.6, foot)] for x, d in steps]
    return [_limb(leg, width, width * 0.65, width * 0.5) for leg in legs]


@functools.cache
def ibex() -> Motif:
    """A wild goat whose horns sweep over its back."""
    return (
        *_four_legs(-0.5, 0.35, 0.15, 0.92, 0.13),
        _limb([(-0.6, 0.05), (-0.1, 0.1), (0.42, 0.0)], 0.28, 0.26, 0.34),
        _limb([(0.38, 0.0), (0.58, -0.4)], 0.3, 0.16),
        _limb([(0.5, -0.46), (0.88, -0.32)], 0.2, 0.08),
        _limb(
            [(0.56, -0.5), (0.4, -0.95), (-0.1, -1.0), (-0.42, -0.62), (-0.35, -0.35)],
            0.1,
            0.12,
            0.11,
            0.07,
            0.02,
        ),
        _limb([(-0.62, 0.0), (-0.8, -0.15)], 0.1, 0.03),
    )


@functools.cache
def lion() -> Motif:
    """A striding lion with a heavy mane, roaring."""
    return (
        *_four_legs(-0.58, 0.36, 0.15, 0.9, 0.2),
        _limb([(-0.65, 0.0), (-0.1, 0.02), (0.4, -0.05)], 0.36, 0.3, 0.42),
        _blob(0.42, -0.22, 0.32, 0.4),
        _limb([(0.5, -0.42), (0.78, -0.4), (0.9, -0.36)], 0.36, 0.26, 0.14),
        Stroke(points((0.95, -0.38), (0.68, -0.26), (0.92, -0.2)), 0.0, 1),
        _blob(0.66, -0.48, 0.045, 0.04, 1),
        *[
            _line([(0.2 + 0.14 * k, -0.05 - 0.04 * k), (0.3 + 0.14 * k, 0.1 - 0.05 * k)], 0.05, 1)
            for k in range(3)
        ],
        *[
            _line([(0.18 + 0.1 * k, -0.4 + 0.05 * k), (0.3 + 0.1 * k, -0.25 + 0.04 * k)], 0.05, 1)
            for k in range(3)
        ],
        Stroke(spline([(-0.75, 0.0), (-0.95, -0.3), (-0.8, -0.65), (-0.95, -0.8)]), 0.08),
    )


@functools.cache
def bull() -> Motif:
    """A bull with lowered head and a crescent of horns."""
    return (
        *_four_legs(-0.6, 0.3, 0.15, 0.9, 0.18),
        _limb([(-0.7, 0.0), (-0.1, 0.0), (0.3, -0.12)], 0.42, 0.42, 0.6),
        _limb([(0.3, -0.15), (0.62, -0.2)], 0.5, 0.3),
        _limb([(0.56, -0.28), (0.84, 0.08)], 0.28, 0.14),
        Stroke(spline([(0.6, -0.4), (0.8, -0.55), (0.72, -0.85)]), 0.08),
        _blob(0.66, -0.2, 0.04, 0.04, 1),
        Stroke(spline([(-0.78, -0.1), (-0.95, 0.2), (-0.9, 0.6)]), 0.07),
        _line([(0.12, -0.4), (0.2, 0.2)], 0.05, 1),
    )


@functools.cache
def bird() -> Motif:
    """A bird with folded wing, head raised."""
    return (
        _limb([(0.5, -0.5), (0.25, -0.05), (-0.2, 0.25), (-0.9, 0.4)], 0.22, 0.5, 0.55, 0.12),
        _blob(0.52, -0.55, 0.19, 0.18),
        Stroke(points((0.66, -0.64), (0.98, -0.5), (0.66, -0.44)), 0.0, 1),
        _limb([(0.2, -0.05), (-0.2, 0.12), (-0.7, 0.3)], 0.1, 0.3, 0.05, ink=1),
        _blob(0.55, -0.58, 0.05, 0.05, 1),
        _line([(0.05, 0.45), (0.05, 0.9), (0.25, 0.92)], 0.06),
        _line([(-0.15, 0.45), (-0.15, 0.9), (0.05, 0.92)], 0.06),
    )


@functools.cache
def fish() -> Motif:
    """A fish with barred flank."""
    return (
        _limb([(0.9, 0.0), (0.2, 0.0), (-0.6, 0.0)], 0.1, 0.75, 0.12),
        Stroke(points((-0.5, 0.0), (-0.95, -0.35), (-0.95, 0.35))),
        _blob(0.62, -0.08, 0.07, 0.07, 1),
        *[_line([(x, -0.25), (x - 0.08, 0.25)], 0.06, 1) for x in (0.35, 0.1, -0.12)],
    )


@functools.cache
def boat() -> Motif:
    """A many-oared boat with two cabins, as on predynastic jars."""
    return (
        _limb([(-1, -0.05), (-0.5, 0.32), (0, 0.4), (0.5, 0.32), (1, -0.05)], 0.1, 0.2, 0.22, 0.2, 0.1),
        *[_line([(x, 0.45), (x - 0.06, 0.85)], 0.05) for x in np.linspace(-0.7, 0.7, 12)],
        Stroke(points((-0.5, -0.2), (-0.12, -0.2), (-0.12, 0.25), (-0.5, 0.25)), 0.1, closed=True),
        Stroke(points((0.12, -0.2), (0.5, -0.2), (0.5, 0.25), (0.12, 0.25)), 0.1, closed=True),
        _line([(-0.3, -0.2), (-0.3, -0.85)], 0.06),
        _limb([(-0.3, -0.85), (-0.55, -0.7)], 0.2, 0.08),
        _limb([(-0.85, -0.05), (-0.9, -0.6), (-0.7, -0.8)], 0.08, 0.06, 0.2),
    )


@functools.cache
def dragon() -> Motif:
    """A Chinese dragon among flames, its body one long wave."""
    head_end: Knots = [(0.62, -0.45), (0.3, -0.72), (0.0, -0.3), (0.25, 0.15)]
    tail_end: Knots = [(-0.05, 0.55), (-0.5, 0.2), (-0.6, -0.4), (-0.92, -0.3)]
    claws = [_line([(x + d * 0.3, y + 0.3), (x, y), (x + d * 0.5, y + 0.14)], 0.08)
             for x, y, d in ((0.42, 0.12, 1), (-0.08, 0.62, 1), (-0.6, 0.22, -1))]  # fmt: skip
    flames = [_limb([(x, y), (x + 0.12, y - 0.12), (x + 0.3, y - 0.1)], 0.12, 0.09, 0.01, ink=1)
              for x, y in ((0.55, 0.45), (-0.95, 0.5), (-0.35, -0.65), (0.5, 0.8))]  # fmt: skip
    return (
        _limb([*head_end, *tail_end], 0.22, 0.2, 0.22, 0.26, 0.24, 0.2, 0.13, 0.03),
        *claws,
        _limb([(0.5, -0.5), (0.75, -0.42), (0.95, -0.3)], 0.3, 0.24, 0.1),
        Stroke(spline([(0.55, -0.6), (0.4, -0.85), (0.25, -0.95)]), 0.06),
        Stroke(spline([(0.9, -0.3), (1.05, -0.5), (0.95, -0.75)]), 0.04),
        _blob(0.68, -0.5, 0.05, 0.05, 2),
        *flames,
    )


@functools.cache
def crane() -> Motif:
    """A crane in flight."""
    return (
        _limb([(-0.5, 0.15), (0, 0.0), (0.3, -0.1)], 0.12, 0.26, 0.1),
        _limb([(0.25, -0.1), (0.6, -0.25), (0.95, -0.2)], 0.1, 0.06, 0.05),
        _limb([(0.05, -0.05), (-0.1, -0.5), (0.1, -0.95)], 0.3, 0.3, 0.03),
        _limb([(0.0, 0.05), (-0.25, 0.4), (-0.2, 0.85)], 0.26, 0.26, 0.03),
        _line([(-0.5, 0.15), (-0.95, 0.3)], 0.05, 1),
        _line([(-0.5, 0.17), (-0.95, 0.4)], 0.05, 1),
    )


FIGURES: dict[str, Callable[[], Motif]] = {
    figure.__name__: figure
    for figure in (warrior, lady, kilted, genius, orant, ibex, lion, bull, bird, fish, boat, dragon, crane)
}
