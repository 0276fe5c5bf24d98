"""Draw a photograph of an artefact from seed, class, object and view."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from heritage.core.taxonomy import CLASSES, suggestion
from heritage.demo.drawing.canvas import Bytes, Canvas
from heritage.demo.drawing.catalogue import KINDS, kind_of
from heritage.demo.drawing.curve import ellipse, ragged
from heritage.demo.drawing.photograph import compose, expose
from heritage.demo.drawing.rng import generator
from heritage.demo.drawing.shading import Pose, Surface
from heritage.errors import ConfigError

DEMO_VERSION = 2
"""Increased when the drawing changes, so that existing sets are drawn again."""

SIZES = range(16, 2049)
"""Valid side lengths in pixels."""

_MIN_SIDE = 96
_MAX_FRAME = 1.6


def draw_artefact(class_name: str, object_index: int, view: int, *, size: int, seed: int) -> Bytes:
    """Draw one photograph of one artefact.

    The same arguments give the same bytes on the same machine. An object looks the same at every size; its
    views differ in pose, light, background and crop.

    Args:
        class_name: One of the six civilisations.
        object_index: Index of the object in its class, from 0.
        view: Index of the photograph of the object, from 0.
        size: Side length in pixels, 16 to 2048.
        seed: Seed of objects and views.

    Returns:
        RGB bytes, shape (size, size, 3).

    Raises:
        ConfigError: Unknown class, or a number out of range.
    """
    _require(class_name, object_index, view, size, seed)
    # Lines are at least a pixel wide, so small images are drawn larger and downsampled.
    times = -(-_MIN_SIDE // size)
    picture = _photographed(class_name, object_index, view, size * times, seed)
    if times > 1:
        picture = np.asarray(cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA), np.uint8)
    return picture


def _photographed(class_name: str, object_index: int, view: int, size: int, seed: int) -> Bytes:
    kind = kind_of(class_name, object_index, seed)
    object_rng = generator(seed, class_name, object_index, 0)
    view_rng = generator(seed, class_name, object_index, 2 + view)
    broken = object_rng.random() < kind.breaks
    photo = compose(view_rng, near=1.35 if broken else 1.0)
    frame = round(size * min(photo.zoom, _MAX_FRAME))
    turn = photo.turn * (0.3 if broken else 1.0)
    surface = kind.draw(Pose(object_rng, frame, turn, photo.tilt))
    if broken:
        _break(surface, object_rng)
    roll = photo.roll * (1.0 if broken else kind.roll)
    return expose(surface, photo, roll, size, view_rng)


def _break(surface: Surface, rng: Generator) -> None:
    """Reduce the artefact to a sherd."""
    n = surface.cover.shape[0]
    corners = int(rng.integers(5, 8))
    outline = ellipse(0, 0, 1, 1, count=corners) * rng.uniform(0.42, 0.72, (corners, 1))
    sherd = Canvas(n, 1.0, 0, framed=True)
    sherd.fill([ragged(rng, outline + rng.uniform(-0.12, 0.12, 2), 0.012)], 255)
    surface.cover *= sherd.pixels * np.float32(1 / 255)
    surface.upright = False


def _require(class_name: str, object_index: int, view: int, size: int, seed: int) -> None:
    if class_name not in KINDS:
        raise ConfigError(
            "not a class of the demo set",
            where=class_name,
            remedy=suggestion(class_name, CLASSES),
        )
    if size not in SIZES:
        raise ConfigError(
            "cannot draw an image of this size",
            where=f"size={size}",
            remedy=f"choose a size from {SIZES[0]} to {SIZES[-1]}",
        )
    for name, value in (("object_index", object_index), ("view", view), ("seed", seed)):
        if value < 0:
            raise ConfigError("a negative number", where=f"{name}={value}", remedy="give 0 or more")
