"""Faces in relief."""

from __future__ import annotations

import numpy as np

from heritage.demo.drawing.curve import ellipse, placed, points
from heritage.demo.drawing.material import INKS
from heritage.demo.drawing.relief import Relief
from heritage.demo.drawing.shading import Pose


def facing(pose: Pose) -> float:
    """How far a figure in relief may turn: beyond that its missing sides would show."""
    return float(np.clip(pose.turn, -0.4, 0.4))


def face(
    piece: Relief, x: float, y: float, size: float, base: float, *, eyes: float = 1.0, painted: bool = False
) -> None:
    """Model a face about ``size`` high: brow, eyes, nose, mouth and chin on an oval.

    Args:
        piece: The piece being modelled.
        x: Middle of the face.
        y: Middle of the face.
        size: From the hair to the chin.
        base: Height of the surface it rises from.
        eyes: How wide open the eyes are; 1 is natural.
        painted: Whether eyes and brows are painted too.
    """

    def bump(dx: float, dy: float, rx: float, ry: float, top: float, start: float = 0.0) -> None:
        for side in (-1, 1) if dx else (1,):
            spot = (x + side * dx * size, y + dy * size)
            piece.mound(*spot, rx * size, ry * size, base + top * size, base=base + start * size)

    bump(0, 0, 0.40, 0.55, 0.30)
    bump(0.18, 0.06, 0.15, 0.15, 0.295)
    bump(0, 0.29, 0.13, 0.055, 0.34)
    bump(0, 0.45, 0.12, 0.09, 0.26)
    sockets = [placed(ellipse(side * 0.16, -0.08, 0.11, 0.05 * eyes), x, y, size) for side in (-1, 1)]
    brows = [placed(points((side * 0.06, -0.21), (side * 0.28, -0.2)), x, y, size) for side in (-1, 1)]
    mask = piece.mask()
    mask.fill(sockets, 255)
    mask.line([placed(points((-0.13, 0.29), (0.13, 0.29)), x, y, size)], 230, 0.02 * size)
    mask.line(brows, 140, 0.03 * size)
    piece.press(mask, 0.06 * size, 0.02 * size)
    bump(0, 0.04, 0.055, 0.17, 0.40, 0.2)
    bump(0, 0.14, 0.09, 0.06, 0.39, 0.2)
    if painted:
        piece.paint.fill([ellipse(x, y, 0.4 * size, 0.55 * size)], piece.material.ink)
        piece.paint.fill(sockets, INKS["white"])
        piece.paint.line(brows, INKS["black"], 0.03 * size)
        for side in (-1, 1):
            piece.paint.disc(x + side * 0.16 * size, y - 0.08 * size, 0.05 * size * eyes**0.5, INKS["black"])
