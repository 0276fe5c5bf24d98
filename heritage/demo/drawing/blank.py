"""Slabs of stone and flans of coins, for reliefs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator

from heritage.demo.drawing.canvas import Canvas
from heritage.demo.drawing.curve import Points, arc, around, ellipse, ragged, rectangle
from heritage.demo.drawing.material import Material, ink_of, mottle, painted_over, pick
from heritage.demo.drawing.relief import Relief
from heritage.demo.drawing.script import letters
from heritage.demo.drawing.shading import Pose, Surface


def slab(
    pose: Pose, carve: Callable[[Canvas, Generator, float, float], None], *, rounded: bool, sunk: bool
) -> Surface:
    """Draw a carved slab of stone, whole or broken, some with traces of colour.

    Args:
        pose: The pose to draw.
        carve: Draws the design on a mask, given the half width and half height of the slab.
        rounded: Whether the top may be an arch.
        sunk: Whether the design may be cut into the stone instead of standing out.
    """
    rng = pose.rng
    piece = Relief(pose.n, pick(rng, "limestone", "limestone", "sandstone", "basalt"))
    wide, high = rng.uniform(0.62, 0.84), rng.uniform(0.68, 0.86)
    outline = rectangle(wide, high)
    if rounded and rng.random() < 0.5:
        arch: Points = arc(0, 0, wide, np.pi, 2 * np.pi, 9) * (1, 0.6) + (0, 0.5 * wide - high)
        outline = np.concatenate([arch, outline[2:]])
    elif rng.random() < 0.6:
        outline = outline + rng.normal(0, 0.13, outline.shape)
    piece.slab(ragged(rng, outline, 0.012), 0.16, 0.04)
    mask = piece.mask()
    carve(mask, rng, wide, high)
    piece.press(mask, 0.05 if sunk and rng.random() < 0.7 else -0.08, 0.014)
    if rng.random() < 0.4:
        colour = ink_of(rng, "red", "blue", "ochre", "green")
        left = np.float32(0.6 / 255) * mask.pixels * (mottle(rng, (piece.n, piece.n)) > 0)
        piece.paint.pixels = painted_over(piece.paint.pixels, left, colour)
    piece.stain((60, 50, 40), 0.8)
    return piece.surface(rng, pose.turn * 0.5)


def coin(pose: Pose, metal: Material, strike: Callable[[Relief, Canvas, Generator], None]) -> Surface:
    """Draw a coin, slightly out of round; ``strike`` models the relief and draws the rest on a mask."""
    rng = pose.rng
    piece = Relief(pose.n, metal)
    wobble = 1 + 0.025 * rng.normal(size=(8, 1)).repeat(5, axis=0)
    flan = ellipse(0, 0, 0.8, 0.8, count=40) * wobble + rng.normal(0, 0.02, 2)
    piece.slab(flan, 0.1, 0.05)
    mask = piece.mask()
    strike(piece, mask, rng)
    piece.press(mask, -0.07)
    piece.stain((50, 44, 34), 0.8)
    return piece.surface(rng, pose.turn * 0.5)


def legend(mask: Canvas, rng: Generator, radius: float, first: int, last: int) -> None:
    """Write letters round a coin, from one twenty-fourth of the circle to another, clockwise from the top."""
    spots, outwards = around(24, radius)
    for k in range(first, last):
        mask.stamp(
            letters()[int(rng.integers(len(letters())))],
            [spots[k % 24]],
            0.07,
            (230,),
            float(outwards[k % 24]),
        )
