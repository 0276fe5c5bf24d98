"""Canvases to draw on, and motifs to stamp on them.

A `Motif` is pure geometry, so that it can be painted on a pot, carved in stone or woven. It consists of
strokes in a cell, mostly within [-1, 1]; a `Canvas` stamps it at places, sizes and angles in its own units.
A sheet to be wrapped round a pot runs from 0 to 1 downwards and from 0 to its aspect across; a framed sheet,
like the frame of an artefact, runs from -1 to 1 in both directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from heritage.demo.drawing.curve import Points, mirrored

Floats: TypeAlias = npt.NDArray[Any]
"""float32; OpenCV's stubs leave open which type comes out, so this does too."""
Bytes: TypeAlias = npt.NDArray[np.uint8]
Ink: TypeAlias = tuple[int, int, int]
"""A colour, sRGB bytes."""
Tone: TypeAlias = Ink | int
"""A colour or, on a mask, a level."""
Places: TypeAlias = Sequence[tuple[float, float]] | Points
Turns: TypeAlias = float | Sequence[float] | npt.NDArray[np.float64]

_SUBPIXEL_BITS = 4


@dataclass(frozen=True, slots=True)
class Stroke:
    """One line or, where ``width`` is 0, one filled outline.

    Attributes:
        points: Vertices, shape (k, 2).
        width: Thickness of the line in units of the cell; 0 fills the outline.
        ink: Which of the inks given at stamping; taken modulo their number.
        closed: Whether a line returns to its start.
    """

    points: Points
    width: float = 0.0
    ink: int = 0
    closed: bool = False


Motif: TypeAlias = tuple[Stroke, ...]


def flipped(motif: Motif) -> Motif:
    """The same motif facing the other way."""
    return tuple(Stroke(mirrored(s.points), s.width, s.ink, s.closed) for s in motif)


def bent(motif: Motif, radius: float, spread: float, height: float) -> Motif:
    """Bend a motif round a circle about the origin, its top outwards.

    Args:
        motif: A motif in its cell.
        radius: Radius of the cell's middle line.
        spread: Half the angle it covers, radians.
        height: Half its height.
    """
    strokes = []
    for stroke in motif:
        curve = stroke.points
        if len(curve) < 8:
            t = np.linspace(0, 1, 6, endpoint=False)[:, None]
            finer = (curve[:, None] * (1 - t) + np.roll(curve, -1, axis=0)[:, None] * t).reshape(-1, 2)
            ends = stroke.width > 0 and not stroke.closed
            curve = np.concatenate([finer[:-6], curve[-1:]]) if ends else finer
        angle, reach = curve[:, 0] * spread, radius - curve[:, 1] * height
        drawn = np.stack([reach * np.sin(angle), -reach * np.cos(angle)], -1)
        strokes.append(Stroke(drawn, stroke.width * height, stroke.ink, stroke.closed))
    return tuple(strokes)


class Canvas:
    """An image with drawing methods in units of its height.

    Attributes:
        pixels: The bytes, (H, W, 3), or (H, W) where the ground is one number: a mask.
        aspect: Width over height.
        unit: Pixels in one unit of length.
    """

    def __init__(self, height: int, aspect: float, ground: Tone, *, framed: bool = False) -> None:
        shape = (height, max(1, round(height * aspect)))
        self.pixels: Bytes = np.empty(shape if isinstance(ground, int) else (*shape, 3), np.uint8)
        _flood(self.pixels, ground)
        self.aspect = aspect
        self.unit = height / 2 if framed else float(height)
        self._origin = height / 2 if framed else 0.0

    def fill(self, outlines: Sequence[Points] | Points, ink: Tone) -> None:
        """Fill outlines; where outlines of one call overlap, they cut holes into each other."""
        cv2.fillPoly(self.pixels, self._fixed(outlines), ink, cv2.LINE_AA, _SUBPIXEL_BITS)

    def line(
        self, lines: Sequence[Points] | Points, ink: Tone, width: float, *, closed: bool = False
    ) -> None:
        """Draw lines ``width`` units thick, never thinner than a pixel."""
        thick = max(1, round(width * self.unit))
        cv2.polylines(self.pixels, self._fixed(lines), closed, ink, thick, cv2.LINE_AA, _SUBPIXEL_BITS)

    def disc(self, x: float, y: float, radius: float, ink: Tone, width: float = 0.0) -> None:
        """Draw a disc or, with a width, a ring."""
        thick = max(1, round(width * self.unit)) if width else -1
        (centre,) = self._fixed([np.array([x, y])])
        reach = round(radius * self.unit * (1 << _SUBPIXEL_BITS))
        cv2.circle(self.pixels, centre.tolist(), reach, ink, thick, cv2.LINE_AA, _SUBPIXEL_BITS)

    def box(self, left: float, top: float, right: float, bottom: float, ink: Tone) -> None:
        """Fill an upright rectangle."""
        x0, y0, x1, y1 = (max(0, round(v * self.unit + self._origin)) for v in (left, top, right, bottom))
        _flood(self.pixels[y0:y1, x0:x1], ink)

    def band(self, top: float, bottom: float, ink: Tone) -> None:
        """Fill the full width between two heights of a sheet that is not framed."""
        self.box(0.0, top, self.aspect, bottom, ink)

    def stamp(
        self,
        motif: Motif,
        at: Places,
        scale: float | tuple[float, float],
        inks: Sequence[Tone],
        turn: Turns = 0.0,
    ) -> None:
        """Draw a motif at each place; places so close that one outline overlaps itself cut holes.

        Args:
            motif: What to draw.
            at: Places of the cell's origin, shape (k, 2).
            scale: Length of the cell's unit, one for both axes or one for each.
            inks: The inks which the strokes refer to.
            turn: Clockwise angle in radians, one or one for each place.
        """
        places = np.asarray(at, np.float64).reshape(-1, 2)
        span = np.broadcast_to(np.asarray(scale, np.float64), (2,))
        angle = np.broadcast_to(np.asarray(turn, np.float64), (len(places),))
        cos, sin = np.cos(angle), np.sin(angle)
        spins = np.stack([np.stack([cos, sin], -1), np.stack([-sin, cos], -1)], -2)
        for stroke in motif:
            drawn = (stroke.points * span) @ spins + places[:, None]
            ink = inks[stroke.ink % len(inks)]
            if stroke.width:
                self.line(drawn, ink, stroke.width * float(span.min()), closed=stroke.closed)
            else:
                self.fill(drawn, ink)

    def frieze(self, motif: Motif, top: float, bottom: float, count: int, inks: Sequence[Tone]) -> None:
        """Repeat a motif ``count`` times along the sheet, its cell filling the band."""
        step = self.aspect / count
        at = np.stack([(np.arange(count) + 0.5) * step, np.full(count, (top + bottom) / 2)], -1)
        self.stamp(motif, at, (step / 2, (bottom - top) / 2), inks)

    def _fixed(self, shapes: Sequence[Points] | Points) -> list[npt.NDArray[np.int32]]:
        """Fixed-point pixels, as OpenCV expects them."""
        one = 1 << _SUBPIXEL_BITS
        scale, origin = self.unit * one, self._origin * one + 0.5
        if isinstance(shapes, np.ndarray):
            return list((shapes * scale + origin).astype(np.int32))
        return [(shape * scale + origin).astype(np.int32) for shape in shapes]


def _flood(pixels: Bytes, ink: Tone) -> None:
    """Set all pixels, several times faster than NumPy's broadcasting over a last axis of 3."""
    if pixels.size:
        cv2.rectangle(pixels, (0, 0), (pixels.shape[1], pixels.shape[0]), ink, cv2.FILLED)
