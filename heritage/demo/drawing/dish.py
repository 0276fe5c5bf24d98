"""Dishes and bowls seen from above."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.random import Generator

from heritage.demo.drawing.canvas import Canvas, Floats, Motif, Tone
from heritage.demo.drawing.curve import around, ellipse, ragged, turns
from heritage.demo.drawing.material import INKS, Material, tint
from heritage.demo.drawing.relief import Relief
from heritage.demo.drawing.shading import Pose, Surface

_RIM = 0.86


def dish(
    pose: Pose, body: Material, paint: Callable[[Canvas, Generator], None], *, lobes: int = 0
) -> Surface:
    """A dish, whole, mended or broken.

    Args:
        pose: The pose to draw.
        body: What it is made of.
        paint: Paints its inside, a framed canvas; the rim is at 0.86 from the middle.
        lobes: Scallops of the rim, if any.
    """
    rng = pose.rng
    piece = Relief(pose.n, body)
    scallops = 0.025 * np.cos(lobes * turns(192)) if lobes else np.zeros(192)
    rim = ellipse(0, 0, _RIM, _RIM, count=192) * (1 + scallops)[:, None]
    piece.slab(rim, 0.04, 0.02)
    piece.height += _hollow(pose.n, rng.uniform(0.1, 0.24), rng.uniform(0.42, 0.62))
    paint(piece.paint, rng)
    piece.paint.line([rim * 0.985], tint(rng, INKS["brown"]), 0.02, closed=True)
    if rng.random() < 0.4:
        piece.crack(rng, 200, (80, 80, 80), 0.3)
    if rng.random() < 0.35:
        _break(piece, rng)
    piece.stain((60, 48, 38), 0.5)
    return piece.surface(rng, pose.turn * 0.8)


def ring(
    paint: Canvas, motif: Motif, radius: float, size: float, inks: Sequence[Tone], count: int | None = None
) -> None:
    """Repeat a motif round a circle, its top outwards; by default as often as it fits."""
    spots, outwards = around(count or round(np.pi * radius / size), radius)
    paint.stamp(motif, spots, size, inks, outwards)


def _hollow(n: int, depth: float, flat: float) -> Floats:
    """The inner slope of a dish whose floor reaches to ``flat`` of the radius."""
    axis = ((np.arange(n) + 0.5) * (2 / n) - 1).astype(np.float32)
    reach = np.hypot(axis[None, :], axis[:, None]) / np.float32(_RIM)
    wall = np.clip((reach - flat) / (1 - flat), 0, 1)
    return np.where(reach < 1, depth * wall * wall * (3 - 2 * wall), np.float32(0))


def _break(piece: Relief, rng: Generator) -> None:
    """Break one side away, or leave a mended crack."""
    angle = rng.uniform(0, 2 * np.pi)
    away = np.array([np.cos(angle), np.sin(angle)])
    side = np.array([-away[1], away[0]])
    start = away * rng.uniform(0.1, 0.6)
    edge = [start + side * t + away * rng.normal(0, 0.07) for t in np.linspace(-1.4, 1.4, 9)]
    mask = piece.mask()
    if rng.random() < 0.5:
        beyond = [side * 1.4 + away * 2, -side * 1.4 + away * 2]
        mask.fill([ragged(rng, np.array([*edge, *beyond]), 0.01, 4)], 255)
        piece.cut(mask, 0.7)
    else:
        mask.line([np.array(edge)], 255, 0.012)
        piece.press(mask, 0.04, 0.004)
