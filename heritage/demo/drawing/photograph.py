"""Photograph an artefact: pose, light, background, framing and exposure.

All distributions are the same for every class, so that neither background nor light nor colour cast reveals
the class.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from heritage.demo.drawing.canvas import Bytes, Floats
from heritage.demo.drawing.material import tripled
from heritage.demo.drawing.shading import Light, Surface, blurred, shade


@dataclass(frozen=True, slots=True)
class View:
    """The parameters of a photograph.

    Attributes:
        turn: Turn of the artefact about its upright axis, radians.
        tilt: Camera elevation above an upright artefact, radians.
        roll: Rotation in the image plane as a fraction of the kind's maximum, -1 to 1.
        zoom: Size of the artefact in the picture; 1 nearly fills it.
        shift: Offset of the artefact in units of half the picture.
        light: The lamps.
    """

    turn: float
    tilt: float
    roll: float
    zoom: float
    shift: tuple[float, float]
    light: Light


def compose(rng: Generator, near: float = 1.0) -> View:
    """Draw the parameters of a photograph, ``near`` times closer; some views crop the artefact."""
    close = rng.random() < 0.10
    zoom = rng.uniform(1.1, 1.4) if close else rng.uniform(0.82, 1.05)
    reach = 0.25 if close else 0.08
    side = rng.choice((-1.0, 1.0))
    light = Light(
        azimuth=-np.pi / 2 + side * rng.uniform(0.25, 1.1),
        elevation=rng.uniform(0.45, 1.05),
        key=rng.uniform(0.75, 1.15),
        fill=rng.uniform(0.05, 0.35),
        room=rng.uniform(0.22, 0.42),
        spread=rng.uniform(0.16, 0.42),
    )
    return View(
        turn=float(np.clip(rng.normal(0, 0.45), -1.0, 1.0)),
        tilt=rng.uniform(0.08, 0.34),
        roll=rng.uniform(-1, 1),
        zoom=zoom * near,
        shift=(rng.uniform(-reach, reach), rng.uniform(-reach, reach)),
        light=light,
    )


def _ground(rng: Generator, n: int) -> Floats:
    """Return the background: grey, black, white or coloured paper, lit from one side; linear (n, n, 3)."""
    kind = rng.choice(5, p=(0.46, 0.12, 0.22, 0.16, 0.04))
    low, high = ((0.25, 0.65), (0.03, 0.12), (0.75, 0.95), (0.45, 0.80), (0.2, 0.55))[kind]
    level, warmth, hue = rng.uniform(low, high), rng.uniform(0.78, 0.95), rng.uniform(0.75, 1.2, 3)
    paper = (np.ones(3), np.ones(3), np.ones(3), np.array([1.06, 1.0, warmth]), hue)[kind]
    # The background is smooth, so it is computed small and enlarged.
    axis = np.linspace(-1, 1, 48, dtype=np.float32)
    across, down, depth, dim = (rng.uniform(-r, r) for r in (0.22, 0.22, 0.33, 0.12))
    horizon = np.tanh((axis - rng.uniform(-0.1, 0.6)) * rng.uniform(1.5, 9))
    corners = np.square(axis)
    field = 1 + across * axis + (down * axis + depth * horizon - (0.12 + dim) * corners)[:, None]
    field -= (0.12 + dim) * corners
    tone = np.square(np.clip(level * field, 0.01, 1))
    coloured: Floats = tone[..., None] * np.square(paper).astype(np.float32)
    return cv2.resize(coloured, (n, n), interpolation=cv2.INTER_LINEAR)


def _shadow(cover: Floats, light: Light, upright: bool) -> Floats:
    """Return the darkness of the artefact's shadow on the background, (n, n)."""
    n = cover.shape[0]
    small = cv2.resize(cover, (64, 64), interpolation=cv2.INTER_AREA)
    lx, ly, _ = light.direction
    if upright:
        rows = np.flatnonzero(small.max(axis=1) > 0.5)
        foot = float(rows[-1]) if len(rows) else 63.0
        # An upright artefact casts a low, wide shadow from its foot, away from the lamp.
        squash = np.array([[1, 0.5 * lx, -0.5 * lx * foot], [0, 0.22, 0.78 * foot + 1.0]], np.float32)
        cast = cv2.warpAffine(small, squash, (64, 64), flags=cv2.INTER_LINEAR)
        dark = 0.75 * blurred(cast, 2.2) + 0.25 * blurred(small, 6)
    else:
        move = np.array([[1, 0, -2.6 * lx], [0, 1, -2.6 * ly]], np.float32)
        cast = cv2.warpAffine(small, move, (64, 64), flags=cv2.INTER_LINEAR)
        dark = 0.6 * blurred(cast, 1.4) + 0.4 * blurred(small, 4.5)
    return cv2.resize(dark, (n, n), interpolation=cv2.INTER_LINEAR)


def _place(layer: Floats, view: View, roll: float, n: int) -> Floats:
    """Rotate, scale and shift a map of the artefact into the image."""
    m = layer.shape[0]
    scale = n / m * view.zoom
    cos, sin = scale * np.cos(roll), scale * np.sin(roll)
    x, y = (n / 2 * (1 + shift) - 0.5 for shift in view.shift)
    half = (m - 1) / 2
    into = np.array([[cos, -sin, x - cos * half + sin * half],
                     [sin, cos, y - sin * half - cos * half]], np.float32)  # fmt: skip
    return cv2.warpAffine(layer, into, (n, n), flags=cv2.INTER_LINEAR)


def expose(surface: Surface, view: View, roll: float, n: int, rng: Generator) -> Bytes:
    """Shade the artefact, place it on its background and expose the photograph.

    Args:
        surface: The artefact in its frame.
        view: The parameters of the photograph.
        roll: Rotation in the image plane, radians clockwise.
        n: Side length of the image in pixels.
        rng: The view's generator.

    Returns:
        sRGB bytes, (n, n, 3).
    """
    lamp = view.light
    rolled = Light(lamp.azimuth - roll, lamp.elevation, lamp.key, lamp.fill, lamp.room, lamp.spread)
    lit = shade(surface, rolled)
    lit *= tripled(surface.cover)
    placed = _place(cv2.merge([*cv2.split(lit), surface.cover]), view, roll, n)
    cover = np.ascontiguousarray(placed[..., 3])
    picture = _ground(rng, n)
    strength = np.float32(rng.uniform(0.35, 0.8))
    picture *= tripled((1 - strength * _shadow(cover, lamp, surface.upright)) * (1 - cover))
    picture += placed[..., :3]
    return _develop(picture, rng)


def _develop(picture: Floats, rng: Generator) -> Bytes:
    """Apply lens blur, exposure, colour cast, tone curve and film grain."""
    n = picture.shape[0]
    # Large pictures are sharper than small ones enlarged.
    blur = rng.uniform(0.0, 0.75) * float(np.sqrt(n / 128))
    if blur > 0.3:
        picture = blurred(picture, blur)
    cast = np.exp(rng.normal(0, 0.03, 3) + rng.normal(0, 0.12)).astype(np.float32)
    grey = rng.random() < 0.04
    weights = np.array([0.30, 0.55, 0.15], np.float32)
    mix = np.tile(weights, (3, 1)) if grey else np.eye(3, dtype=np.float32)
    dull = np.float32(rng.uniform(0.0, 0.15))
    mix = (1 - dull) * mix + dull * np.tile(weights, (3, 1))
    if grey and rng.random() < 0.5:
        cast *= np.array([1.10, 1.0, 0.82], np.float32)
    picture = cv2.transform(picture, (mix * cast[:, None]).astype(np.float32))
    shown = np.sqrt(np.maximum(picture, 0, out=picture), out=picture)
    # A shoulder keeps highlights from clipping hard.
    over = np.maximum(shown - 0.8, 0)
    shown -= over
    shown += over / (1 + 5 * over)
    shown *= 255
    film = rng.standard_normal((n, n, 1), np.float32)
    film *= np.float32(rng.uniform(0.5, 3.0))
    shown += film + np.float32(0.5)
    film_bytes: Bytes = np.clip(shown, 0, 255, out=shown).astype(np.uint8)
    return film_bytes
