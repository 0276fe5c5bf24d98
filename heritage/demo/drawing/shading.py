"""Shade an artefact.

A drawing function takes a `Pose` and returns a `Surface`; `shade` computes its lit pixels.

Colours are kept linear by the square law (display value squared), which is close to sRGB and cheap.
Axes: x to the right, y downwards, z towards the camera.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from heritage.demo.drawing.canvas import Floats
from heritage.demo.drawing.material import tripled

_SPHERE = 64


@dataclass(frozen=True, slots=True)
class Pose:
    """The pose of an artefact: the argument of a drawing function.

    Attributes:
        rng: The object's generator, the same for all views and sizes.
        n: Side length of the artefact's frame in pixels.
        turn: Rotation about the vertical axis, radians.
        tilt: Camera elevation above an upright artefact, radians.
    """

    rng: Generator
    n: int
    turn: float
    tilt: float


@dataclass(slots=True)
class Surface:
    """The visible surface of an artefact, unlit. All maps have the same frame (n, n).

    Attributes:
        colour: Linear reflectance, (n, n, 3).
        normal: Unit normals, (n, n, 3).
        cover: Coverage of each pixel by the artefact, 0 to 1, (n, n).
        open: Ambient occlusion, from 0 in a deep groove to 1, (n, n).
        gloss: Strength of sharp reflections, as on glaze.
        satin: Strength of broad reflections, as on polished stone.
        metal: From 0, a dielectric, to 1, whose reflections take its colour; one value or (n, n).
        upright: Whether it is upright, or flat on a table below the camera.
    """

    colour: Floats
    normal: Floats
    cover: Floats
    open: Floats
    gloss: float = 0.0
    satin: float = 0.0
    metal: float | Floats = 0.0
    upright: bool = False

    def lay(self, top: Surface) -> None:
        """Put another surface of the same frame in front of this one."""
        mask = tripled(top.cover)
        self.colour += mask * (top.colour - self.colour)
        self.normal += mask * (top.normal - self.normal)
        self.open += top.cover * (top.open - self.open)
        np.maximum(self.cover, top.cover, out=self.cover)


@dataclass(frozen=True, slots=True)
class Light:
    """A key lamp, its reflector and the room.

    Attributes:
        azimuth: Direction of the key lamp in the picture plane, radians clockwise from the right.
        elevation: Its height above the picture plane, radians.
        key: Strength of the lamp.
        fill: Strength of the reflector on the other side.
        room: Strength of the light from everywhere.
        spread: Angular size of the lamp's soft box, radians.
    """

    azimuth: float
    elevation: float
    key: float
    fill: float
    room: float
    spread: float

    @property
    def direction(self) -> tuple[float, float, float]:
        """Unit vector towards the lamp."""
        flat = np.cos(self.elevation)
        return (
            float(flat * np.cos(self.azimuth)),
            float(flat * np.sin(self.azimuth)),
            float(np.sin(self.elevation)),
        )


@functools.cache
def _hemisphere() -> tuple[Floats, Floats, Floats]:
    axis = np.linspace(-1, 1, _SPHERE, dtype=np.float32)
    plane: Floats = np.stack(np.meshgrid(axis, axis))
    x, y = plane / np.maximum(np.hypot(*plane), 1)
    return x, y, np.sqrt(np.maximum(1 - x * x - y * y, 0))


def light_sphere(light: Light) -> Floats:
    """Photograph a ball in this light, once matt, satin, glazed and of polished metal.

    Returns:
        Shape (64, 64, 4): matt, satin, glaze and mirror, indexed by the normal's y and x.
    """
    x, y, z = _hemisphere()
    lx, ly, lz = light.direction
    beside = x * lx + y * ly
    facing = beside + z * lz
    matt = light.key * np.clip((facing + 0.15) / 1.15, 0, 1)
    matt += light.fill * np.clip(0.3 * z - 0.8 * beside, 0, 1) + light.room * (0.75 - 0.25 * y)
    satin = _power16(np.clip((facing + z) / float(np.sqrt((1 + lz) * 2)), 0, 1))
    # The camera looks along -z, so its ray leaves a mirror along 2 z n - (0, 0, 1).
    rx, ry = 2 * z * x, 2 * z * y
    seen = 2 * z * facing - lz
    edge = float(np.cos(light.spread))
    glaze = np.clip((seen - edge) / (1 - edge) * 2.5, 0, 1) + 0.10 * (1 - z) ** 3
    dark_room = 0.30 - 0.28 * ry + 0.22 * np.cos(5 * ry + 2 * rx)
    mirror = np.clip(dark_room, 0.04, None) * (light.room + 0.5 * light.key)
    mirror += 1.3 * light.key * np.square(np.square(np.square(np.clip(seen, 0, 1))))
    mirror += 0.5 * light.fill * np.clip(-0.8 * (rx * lx + ry * ly), 0, 1)
    return cv2.merge([matt, light.key * satin, light.key * glaze, mirror])


def _power16(base: Floats) -> Floats:
    power: Floats = np.square(np.square(np.square(np.square(base))))
    return power


def shade(surface: Surface, light: Light) -> Floats:
    """Light a surface.

    Returns:
        Linear colour, shape (n, n, 3), above 1 where a highlight burns out.
    """
    half = (_SPHERE - 1) / 2
    where = cv2.transform(surface.normal, np.array([[half, 0, 0, half], [0, half, 0, half]], np.float32))
    x, y = cv2.split(where)
    lit = cv2.remap(light_sphere(light), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    matt, satin, glaze, mirror = cv2.split(lit)
    matt *= surface.open
    mirror *= surface.open
    body = matt + surface.metal * (1.5 * mirror - matt)
    sheen = (surface.satin * satin + surface.gloss * glaze) * surface.open
    lit_colour: Floats = surface.colour * tripled(body) + tripled(sheen)
    return lit_colour


def unit(x: Floats, y: Floats, z: Floats) -> Floats:
    """Stack three components and scale each vector to length 1; shape (..., 3)."""
    scale: Floats = 1 / np.sqrt(x * x + y * y + z * z)
    return cv2.merge([x * scale, y * scale, z * scale])


def blurred(field: Floats, sigma: float) -> Floats:
    """Blur a map by ``sigma`` pixels; wide blurs go by way of a smaller map."""
    step = int(sigma // 2.5)
    if step > 1:
        rows, columns = field.shape[:2]
        small = cv2.resize(field, None, fx=1 / step, fy=1 / step, interpolation=cv2.INTER_AREA)
        return cv2.resize(blurred(small, sigma / step), (columns, rows), interpolation=cv2.INTER_LINEAR)
    # OpenCV would take eight sigmas; six lose a thousandth of the light.
    width = 2 * int(3 * sigma + 0.5) + 1
    return cv2.GaussianBlur(field, (width, width), sigma)
