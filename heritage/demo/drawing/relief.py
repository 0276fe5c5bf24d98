"""Height fields: objects that are carved, moulded, struck or flat, seen from the front.

Heights are in units of the frame, whose sides run from -1 to 1, so that slopes are true.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from heritage.demo.drawing.canvas import Bytes, Canvas, Floats, Ink
from heritage.demo.drawing.curve import Points, ellipse, ragged
from heritage.demo.drawing.material import Material, crackle, linear, mottle, painted_over, tripled
from heritage.demo.drawing.shading import Surface, blurred, unit


class Relief:
    """A piece being modelled, painted and worn.

    Attributes:
        n: Side of its frame in pixels.
        material: What it is made of.
        height: Height above the table, (n, n).
        cover: Share of each pixel that the piece fills, (n, n).
        paint: The colours painted on it, a framed canvas.
        gilt: A mask of the gilding, if there is any.
    """

    def __init__(self, n: int, material: Material) -> None:
        self.n = n
        self.material = material
        self.height: Floats = np.zeros((n, n), np.float32)
        self.cover: Floats = np.zeros((n, n), np.float32)
        self.paint = Canvas(n, 1.0, material.ink, framed=True)
        self.gilt: Canvas | None = None

    def mask(self) -> Canvas:
        """An empty mask over the frame."""
        return Canvas(self.n, 1.0, 0, framed=True)

    def mound(
        self, x: float, y: float, rx: float, ry: float, top: float, turn: float = 0.0, base: float = 0.0
    ) -> None:
        """Add an ellipsoid's upper half: half axes ``rx`` and ``ry``, turned clockwise, rising to ``top``."""
        reach, half = max(rx, ry), self.n / 2
        x0, x1 = (int(np.clip((v + 1) * half, 0, self.n)) for v in (x - reach, x + reach + 1 / half))
        y0, y1 = (int(np.clip((v + 1) * half, 0, self.n)) for v in (y - reach, y + reach + 1 / half))
        dx = ((np.arange(x0, x1) + 0.5) / half - 1 - x).astype(np.float32)[None, :]
        dy = ((np.arange(y0, y1) + 0.5) / half - 1 - y).astype(np.float32)[:, None]
        cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
        rho = ((cos * dx + sin * dy) / np.float32(rx)) ** 2 + ((cos * dy - sin * dx) / np.float32(ry)) ** 2
        cap = np.float32(base) + np.float32(top - base) * np.sqrt(np.maximum(1 - rho, 0))
        edge = np.clip((1 - np.sqrt(rho)) * np.float32(min(rx, ry) * half) + 0.5, 0, 1)
        box = (slice(y0, y1), slice(x0, x1))
        self.height[box] = np.where(rho < 1, np.maximum(self.height[box], cap), self.height[box])
        self.cover[box] = np.maximum(self.cover[box], edge)

    def slab(self, outline: Points, thickness: float, bevel: float, base: float = 0.0) -> None:
        """Add a flat piece with rounded edges, ``bevel`` wide; a bevel past the middle makes a pillow."""
        canvas = self.mask()
        canvas.fill([outline], 255)
        lifted = np.float32(base) + _dome(self._inside(canvas.pixels, bevel)) * np.float32(thickness)
        self._add(np.where(canvas.pixels > 127, lifted, 0), canvas.pixels * np.float32(1 / 255))

    def rod(self, line: Points, width: float, base: float = 0.0, hidden_by: Floats | None = None) -> None:
        """Add a round bar along a line, without the part hidden by an object in front."""
        canvas = self.mask()
        canvas.line([line], 255, width)
        seen = canvas.pixels * np.float32(1 / 255)
        if hidden_by is not None:
            seen *= 1 - hidden_by
        lifted = np.float32(base) + _dome(self._inside(canvas.pixels, width / 2)) * np.float32(width / 2)
        self._add(self._blur(np.where(seen > 0.5, lifted, 0), 0.25 * width), seen)

    def press(self, mask: Canvas, depth: float, soft: float = 0.01) -> None:
        """Sink a mask by ``depth``, or raise it if negative; ``soft`` rounds the edges."""
        self.height -= self._blur(mask.pixels.astype(np.float32), soft) * np.float32(depth / 255)

    def cut(self, mask: Canvas, left: float = 0.0) -> None:
        """Cut away a mask; ``left`` of the height remains."""
        keep = 1 - mask.pixels * np.float32(1 / 255)
        self.cover *= keep
        self.height *= np.float32(left) + np.float32(1 - left) * keep

    def chip(self, rng: Generator) -> None:
        """Break off a bit of one corner."""
        side, end = rng.choice((-1, 1), 2)
        spot = ellipse(
            side * rng.uniform(0.55, 0.85),
            end * rng.uniform(0.6, 0.9),
            rng.uniform(0.15, 0.35),
            rng.uniform(0.15, 0.35),
            count=9,
        )
        lost = self.mask()
        lost.fill([ragged(rng, spot, 0.02, 3)], 255)
        self.cut(lost, 0.4)

    def lose(self, rng: Generator, probability: float) -> None:
        """Add holes, as in papyrus and cloth; with ``probability`` a large part is lost."""
        holes = mottle(rng, (self.n, self.n)) > rng.uniform(1.0 - 0.3 * probability, 1.5)
        self.cover *= 1 - holes.astype(np.float32)

    def rub(self, rng: Generator, bare: Ink) -> None:
        """Rub paint and gilding off in places, down to ``bare``."""
        gone = mottle(rng, (self.n, self.n)) > rng.uniform(0.75, 1.2)
        self.paint.pixels[gone] = bare
        if self.gilt is not None:
            self.gilt.pixels[gone] = 0

    def crack(self, rng: Generator, cells: int, ink: Ink, strength: float) -> None:
        """Draw a net of fine cracks over the paint."""
        net = crackle(rng, (self.n, self.n), cells) * np.float32(strength)
        self.paint.pixels = painted_over(self.paint.pixels, net, ink)

    def stain(self, ink: Ink, strength: float, reach: float = 0.05) -> None:
        """Let ``ink`` gather in the hollows, as dirt, patina or thick glaze does."""
        hollow = (self._blur(self.height, reach) - self.height) * np.float32(strength / reach)
        self.paint.pixels = painted_over(self.paint.pixels, np.clip(hollow, 0, 1), ink)

    def surface(self, rng: Generator, turn: float = 0.0) -> Surface:
        """Return the weathered piece, rotated about its vertical axis by ``turn`` radians."""
        substance = self.material
        noise = mottle(rng, (self.n, self.n))
        pits = mottle(rng, (self.n, self.n), (24, 64, 128))
        height = self.height + np.float32(substance.rough / 1000) * pits
        colour = linear(self.paint.pixels) * tripled(1 + np.float32(1.4 * substance.grain) * noise)
        metal = substance.metal if self.gilt is None else self.gilt.pixels * np.float32(0.8 / 255)
        cover = self.cover
        if abs(turn) > 0.04:
            height, colour, cover = self._turned(height, colour, cover, turn)
        hollow = np.maximum(self._blur(height, 0.06) - height, 0)
        gain = self.n / 16
        dx = cv2.Sobel(height, cv2.CV_32F, 1, 0, scale=gain)
        dy = cv2.Sobel(height, cv2.CV_32F, 0, 1, scale=gain)
        normal = unit(-dx, -dy, np.ones_like(height))
        sky = np.maximum(1 - 7 * hollow, 0.25)
        return Surface(np.clip(colour, 0, 1), normal, cover, sky, substance.gloss, substance.satin, metal)

    def _turned(
        self, height: Floats, colour: Floats, cover: Floats, turn: float
    ) -> tuple[Floats, Floats, Floats]:
        cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
        axis = ((np.arange(self.n) + 0.5) * (2 / self.n) - 1).astype(np.float32)
        across = np.broadcast_to(axis, (self.n, self.n))
        rows = np.broadcast_to(np.arange(self.n, dtype=np.float32)[:, None], (self.n, self.n))
        # Only the broad forms shift with the turn: steep details would fold over themselves.
        seen = broad = self._blur(height, 0.08)
        for _ in range(2):
            columns = ((across - seen * sin) / cos + 1) * np.float32(self.n / 2) - np.float32(0.5)
            seen = cv2.remap(broad, columns, rows, cv2.INTER_LINEAR)
        height = cv2.remap(height, columns, rows, cv2.INTER_LINEAR)
        colour = cv2.remap(colour, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        cover = cv2.remap(cover, columns, rows, cv2.INTER_LINEAR)
        return height * cos - across * sin, colour, cover

    def _add(self, height: Floats, cover: Floats) -> None:
        np.maximum(self.height, height, out=self.height)
        np.maximum(self.cover, cover, out=self.cover)

    def _blur(self, field: Floats, radius: float) -> Floats:
        return blurred(field, max(radius * self.n / 2, 0.3))

    def _inside(self, mask: Bytes, bevel: float) -> Floats:
        """Return the distance from the edge as a fraction of the bevel, at most 1."""
        distance = cv2.distanceTransform((mask > 127).astype(np.uint8), cv2.DIST_L2, 5)
        fraction: Floats = np.minimum(distance * np.float32(2 / (self.n * max(bevel, 1e-6))), 1)
        return fraction


def _dome(inside: Floats) -> Floats:
    """A quarter circle's rise over the way inwards from the edge."""
    rise: Floats = np.sqrt(np.maximum(1 - np.square(1 - inside), 0))
    return rise
