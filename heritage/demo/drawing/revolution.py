"""Surfaces of revolution: objects made on a potter's wheel or a lathe.

The camera looks from a little above, without perspective. A point of the wall at height h and radius r
appears at column x = r sin(a) and at height h cos(t) - r cos(a) sin(t), where a is its angle round the
axis and t the camera's tilt; for each column this is turned round to give h, hence a, hence the normal
and the place on the sheet of decoration that is wrapped round the wall.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from heritage.demo.drawing.canvas import Floats
from heritage.demo.drawing.curve import Points, spline
from heritage.demo.drawing.shading import Surface, unit


@dataclass(frozen=True, slots=True)
class Profile:
    """The outline of a vessel, fitted into the frame [-1, 1] squared.

    Attributes:
        height: Distance from foot to lip.
        radius: Radius at equal steps of height from the foot upwards, shape (k,).
        mouth: Whether the top is open.
        lift: Height of the middle above that of the frame, to leave room below.
    """

    height: float
    radius: Points
    mouth: bool = True
    lift: float = 0.0


def profile(
    knots: Sequence[tuple[float, float]], *, mouth: bool = True, fit: float = 0.86, lift: float = 0.0
) -> Profile:
    """Draw a smooth outline through (level, radius) knots, level from 0 at the foot to 1 at the lip.

    Radii are in units of the height; the whole is scaled to fill ``fit`` of the frame, upwards or across,
    and ``lift`` moves it up.
    """
    curve = spline(knots, 8)
    level = np.linspace(0, 1, 160)
    radius = np.interp(level, np.maximum.accumulate(curve[:, 0]), np.maximum(curve[:, 1], 0.004))
    # A camera that looks down sees half of the lip's and of the foot's ellipse beyond the height.
    tall = 0.96 + 0.34 * float((radius[-1] if mouth else 0.0) + radius[0])
    height = 2 * fit / max(tall, 2 * float(radius.max()))
    return Profile(height, radius * height, mouth, lift)


def _levels(shape: Profile, n: int, tilt: float) -> tuple[Floats, Floats]:
    """Level and distance from the axis' plane, for each pixel of the right half; each (n, n - n // 2)."""
    x = (np.arange(n - n // 2) + (0.5 if n % 2 == 0 else 0.0)) * (2 / n)
    steps = len(shape.radius)
    pad = steps // 8
    level = (np.arange(steps + 2 * pad) - pad) / (steps - 1)
    radius = np.pad(shape.radius, pad, mode="edge")
    depth = np.sqrt(np.maximum(radius[:, None] ** 2 - x**2, 0))
    rise = (level[:, None] - 0.5) * shape.height * np.cos(tilt) - depth * np.sin(tilt)
    rise = np.maximum.accumulate(rise, axis=0)
    height = 1 - shape.lift - (np.arange(n) + 0.5) * (2 / n)
    levels = np.empty((n, len(x)), np.float32)
    for column in range(len(x)):
        levels[:, column] = np.interp(height, rise[:, column], level)
    return levels, x.astype(np.float32)


def _silhouette(shape: Profile, level: Floats, x: Floats, tilt: float) -> Floats:
    """Cover of the right half, with smooth edges at the side, the foot and the lip."""
    n = level.shape[0]
    rise = (1 - shape.lift - (np.arange(n) + 0.5) * (2 / n)) / (shape.height * np.cos(tilt)) + 0.5
    steps = np.linspace(0, 1, len(shape.radius))
    radius = np.interp(rise, steps, shape.radius)
    slope = np.gradient(radius) * (n / 2)
    side = (radius[:, None] - x) * (n / 2 / np.hypot(1, slope))[:, None]
    span = np.float32(shape.height * n / 2)
    edge = np.minimum(np.minimum(side, level * span), (1 - level) * span)
    cover: Floats = np.clip(edge + 0.5, 0, 1).astype(np.float32)
    return cover


def _both_sides(half: Floats, n: int, sign: float = 1.0) -> Floats:
    left = half[:, ::-1][:, : n // 2]
    return np.ascontiguousarray(np.concatenate([sign * left, half], axis=1))


def revolve(
    shape: Profile,
    sheet: Floats,
    inside: Floats,
    n: int,
    *,
    turn: float,
    tilt: float,
    relief: Floats | None = None,
) -> Surface:
    """Draw a vessel from the side.

    Args:
        shape: Its outline.
        sheet: Linear colour wrapped once round the wall, lip at the top, (H, W, 3).
        inside: Linear colour seen through the mouth, (3,).
        n: Side of the frame in pixels.
        turn: Angle round the axis by which the vessel is turned, radians; the middle of the sheet faces
            the camera at 0.
        tilt: Camera elevation, radians.
        relief: Height of the wall's own relief in units of the frame, (H, W).

    Returns:
        The surface in a frame (n, n).
    """
    level, x = _levels(shape, n, tilt)
    steps = len(shape.radius) - 1
    wall = np.stack([shape.radius, np.gradient(shape.radius, shape.height / steps)], -1).astype(np.float32)
    r, dr = cv2.split(cv2.remap(wall[None], level * np.float32(steps), np.zeros_like(level), cv2.INTER_LINEAR,
                                borderMode=cv2.BORDER_REPLICATE))  # fmt: skip
    sine = np.minimum(x / r, 1)
    cosine = np.sqrt(1 - sine * sine)
    cover = _silhouette(shape, level, x, tilt)

    where_x = np.arcsin(_both_sides(sine, n, -1.0))
    height, width = sheet.shape[:2]
    u = ((where_x + np.float32(turn)) * np.float32(width / (2 * np.pi)) + np.float32(width / 2)) % width
    v = _both_sides((1 - level) * height - 0.5, n)
    colour = cv2.remap(sheet, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    nx, nz, up = _both_sides(sine, n, -1.0), _both_sides(cosine, n), _both_sides(-dr, n)
    if relief is not None:
        around = (np.roll(relief, -1, 1) - np.roll(relief, 1, 1)) * np.float32(width / (4 * np.pi))
        along = np.gradient(relief, axis=0) * np.float32(height / shape.height)
        du = cv2.remap(around, u, v, cv2.INTER_LINEAR) / np.maximum(_both_sides(r, n), 0.08)
        up = up + cv2.remap(along, u, v, cv2.INTER_LINEAR)
        nx, nz = nx - du * nz, nz + du * nx
    cos, sin = np.float32(np.cos(tilt)), np.float32(np.sin(tilt))
    normal = unit(nx, nz * sin - up * cos, np.maximum(up * sin + nz * cos, 0.02))
    open_ = 0.72 + 0.28 * _both_sides(np.clip(level * 6, 0, 1), n)
    surface = Surface(colour, normal, _both_sides(cover, n), open_, upright=True)
    if shape.mouth:
        surface.lay(_mouth(shape, inside, n, tilt))
    return surface


def _mouth(shape: Profile, inside: Floats, n: int, tilt: float) -> Surface:
    """The ellipse of the lip, and the far wall seen through it."""
    axis = ((np.arange(n) + 0.5) * (2 / n) - 1).astype(np.float32)
    r = float(shape.radius[-1]) * 0.97
    middle = -0.5 * shape.height * np.cos(tilt) - shape.lift
    squash = max(float(np.sin(tilt)), 1e-3)
    x = np.broadcast_to(axis / np.float32(r), (n, n))
    y = np.broadcast_to(((axis - middle) / (r * squash))[:, None], (n, n)).astype(np.float32)
    reach = x * x + y * y
    cover = np.clip((1 - reach) * (r * squash * n / 4) + 0.5, 0, 1).astype(np.float32)
    colour = np.broadcast_to(inside, (n, n, 3)).astype(np.float32)
    shade = np.clip(0.62 - 0.5 * y + 0.1 * x, 0.12, 1) * np.where(reach > 0.86, 1.6, 1.0)
    normal = unit(-0.4 * x, np.full((n, n), -0.25, np.float32), np.full((n, n), 0.8, np.float32))
    return Surface(colour, normal, cover, np.minimum(shade, 1).astype(np.float32))
