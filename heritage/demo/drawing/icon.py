"""Icons: saints in tempera on gold ground."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from numpy.random import Generator

from heritage.demo.drawing.canvas import Canvas, Ink
from heritage.demo.drawing.curve import Points, both, ellipse, placed, points, rectangle, spline, whole
from heritage.demo.drawing.material import INKS, ink_of, inks, mixed, pick
from heritage.demo.drawing.relief import Relief
from heritage.demo.drawing.script import cursive
from heritage.demo.drawing.shading import Pose, Surface


def icon(pose: Pose) -> Surface:
    """A painted icon: a saint, or the Mother of God with the Child, on gold ground."""
    rng = pose.rng
    piece = Relief(pose.n, pick(rng, "wood"))
    wide, high = rng.uniform(0.6, 0.72), rng.uniform(0.82, 0.88)
    panel, inner = rectangle(wide, high), rectangle(wide - 0.08, high - 0.08)
    piece.slab(panel, 0.1, 0.03)
    piece.gilt = piece.mask()
    gold, frame, flesh, dark = inks(rng, "gold", "red", "flesh", "brown")
    piece.paint.fill([panel], frame)
    piece.paint.fill([inner], gold)
    piece.gilt.fill([inner], 255)
    cloak = ink_of(rng, "blue", "purple", "brown", "red")
    saint = _Saint(piece.paint, piece.gilt, cloak, ink_of(rng, "red", "ochre", "green", "azure"), flesh, dark)
    if rng.random() < 0.4:
        saint.draw(rng, 0.06, -0.24, 1.0, veil=True)
        child = _Saint(piece.paint, piece.gilt, ink_of(rng, "ochre"), saint.robe, flesh, dark)
        child.draw(rng, -0.24, 0.2, 0.5, veil=False)
    else:
        saint.draw(rng, 0.0, -0.24, 1.0, veil=False)
    for side in (-1, 1):
        piece.paint.stamp(cursive(rng, 2.0), [(side * (wide - 0.24), 0.22 - high)], (0.1, 0.05), (frame,))
    piece.rub(rng, piece.material.ink)
    piece.crack(rng, 320, (70, 48, 34), 0.30)
    return piece.surface(rng, pose.turn * 0.6)


@dataclass(frozen=True)
class _Saint:
    """A half-length figure with a halo, painted over gold."""

    paint: Canvas
    gilt: Canvas
    cloak: Ink
    robe: Ink
    flesh: Ink
    dark: Ink

    def draw(self, rng: Generator, x: float, y: float, size: float, *, veil: bool) -> None:
        """Paint it with the middle of its face at (x, y)."""

        def at(curve: Points) -> Points:
            return placed(curve, x, y, size)

        self.paint.disc(x, y - 0.02 * size, 0.36 * size, ink_of(rng, "ochre"))
        self.paint.disc(x, y - 0.02 * size, 0.36 * size, self.dark, 0.022 * size)
        body = whole(spline([(0, 0.2), (-0.3, 0.34), (-0.5, 0.62), (-0.54, 1.06)]))
        hood = whole(spline([(0, -0.3), (-0.24, -0.2), (-0.28, 0.1), (-0.3, 0.4)]))
        chest = points((-0.13, 0.2), (0.13, 0.2), (0.2, 1.06), (-0.2, 1.06))
        crown = (hood, self.cloak) if veil else (ellipse(0, -0.06, 0.2, 0.22), self.dark)
        for part, ink in (
            (body, self.cloak),
            (chest, self.robe),
            crown,
            (ellipse(0, 0, 0.15, 0.2), self.flesh),
        ):
            self.paint.fill([at(part)], ink)
            self.gilt.fill([at(part)], 0)
        folds = [
            spline([(side * 0.2, 0.36), (side * (0.28 + 0.07 * k), 0.7), (side * (0.3 + 0.09 * k), 1.05)])
            for side in (-1, 1)
            for k in range(3)
        ]
        self.paint.line([at(fold) for fold in folds], mixed(self.cloak, INKS["white"], 0.3), 0.018 * size)
        self._features(at, size, bearded=not veil and rng.random() < 0.6)
        if not veil:
            book = at(points((0.1, 0.66), (0.36, 0.6), (0.4, 0.92), (0.14, 0.96)))
            self.paint.fill([book], INKS["red"])
            self.paint.line([book], INKS["gold"], 0.03 * size, closed=True)
        self.paint.fill([at(ellipse(-0.1, 0.68, 0.06, 0.1, 0.4))], self.flesh)

    def _features(self, at: Callable[[Points], Points], size: float, *, bearded: bool) -> None:
        if bearded:
            beard = spline([(-0.14, 0.06), (-0.1, 0.26), (0, 0.34), (0.1, 0.26), (0.14, 0.06), (0, 0.12)])
            self.paint.fill([at(beard)], self.dark)
        for side in (-1, 1):
            self.paint.fill([at(ellipse(side * 0.065, -0.03, 0.04, 0.022))], INKS["white"])
            self.paint.fill([at(ellipse(side * 0.065, -0.03, 0.02, 0.02))], self.dark)
        brows = both(spline([(0.02, -0.07), (0.07, -0.095), (0.12, -0.06)]))
        nose = points((0.012, -0.06), (0.02, 0.06), (-0.015, 0.07))
        self.paint.line([at(brow) for brow in brows], self.dark, 0.02 * size)
        self.paint.line([at(nose)], self.dark, 0.015 * size)
        self.paint.line([at(points((-0.035, 0.115), (0.035, 0.115)))], INKS["red"], 0.02 * size)
