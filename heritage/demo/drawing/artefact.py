"""From four numbers to a photograph: seed, class, object and view."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from heritage.core.taxonomy import CLASSES, nearest
from heritage.demo.drawing.canvas import Bytes, Canvas
from heritage.demo.drawing.catalogue import KINDS, kind_of
from heritage.demo.drawing.chance import numbers
from heritage.demo.drawing.curve import ellipse, ragged
from heritage.demo.drawing.photograph import compose, expose
from heritage.demo.drawing.shading import Sitting, Surface
from heritage.errors import ConfigError

DEMO_VERSION = 2
"""Raised when the drawing changes, so that a set drawn before is drawn again."""

SIZES = range(16, 2049)
"""Sides in pixels that can be drawn."""

_FINE_ENOUGH = 96
_LARGEST_FRAME = 1.6


def draw_artefact(class_name: str, object_index: int, view: int, *, size: int, seed: int) -> Bytes:
    """Draw one photograph of one artefact.

    The same arguments give the same bytes on the same machine; the same object looks the same at every
    size, and its views differ in turn, light, ground and crop.

    Args:
        class_name: One of the six civilisations.
        object_index: Which of its objects, from 0 on without end.
        view: Which photograph of it, from 0 on.
        size: Side of the picture in pixels, 16 to 2048.
        seed: Other seeds draw other artefacts.

    Returns:
        RGB bytes, shape (size, size, 3).

    Raises:
        ConfigError: An unknown class, or a number out of range.
    """
    _require(class_name, object_index, view, size, seed)
    # Lines cannot be thinner than a pixel, so small pictures are drawn larger and reduced.
    times = -(-_FINE_ENOUGH // size)
    picture = _photographed(class_name, object_index, view, size * times, seed)
    if times > 1:
        picture = np.asarray(cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA), np.uint8)
    return picture


def _photographed(class_name: str, object_index: int, view: int, size: int, seed: int) -> Bytes:
    kind = kind_of(class_name, object_index, seed)
    making = numbers(seed, class_name, object_index, 0)
    seeing = numbers(seed, class_name, object_index, 2 + view)
    broken = making.random() < kind.breaks
    photo = compose(seeing, near=1.35 if broken else 1.0)
    frame = round(size * min(photo.zoom, _LARGEST_FRAME))
    turn = photo.turn * (0.3 if broken else 1.0)
    surface = kind.draw(Sitting(making, frame, turn, photo.tilt))
    if broken:
        _break(surface, making)
    roll = photo.roll * (1.0 if broken else kind.roll)
    return expose(surface, photo, roll, size, seeing)


def _break(surface: Surface, rng: Generator) -> None:
    """Leave a sherd of it."""
    n = surface.cover.shape[0]
    corners = int(rng.integers(5, 8))
    outline = ellipse(0, 0, 1, 1, count=corners) * rng.uniform(0.42, 0.72, (corners, 1))
    sherd = Canvas(n, 1.0, 0, framed=True)
    sherd.fill([ragged(rng, outline + rng.uniform(-0.12, 0.12, 2), 0.012)], 255)
    surface.cover *= sherd.pixels * np.float32(1 / 255)
    surface.stands = False


def _require(class_name: str, object_index: int, view: int, size: int, seed: int) -> None:
    if class_name not in KINDS:
        near = nearest(class_name, CLASSES)
        raise ConfigError(
            "the demo draws no such class",
            where=class_name,
            remedy=f"did you mean {near}?" if near else f"it draws {', '.join(CLASSES)}",
        )
    if size not in SIZES:
        raise ConfigError(
            "cannot draw an image of this size",
            where=f"size={size}",
            remedy=f"choose a size from {SIZES[0]} to {SIZES[-1]}",
        )
    for name, value in (("object_index", object_index), ("view", view), ("seed", seed)):
        if value < 0:
            raise ConfigError("is negative", where=f"{name}={value}", remedy="give a number from 0 on")
