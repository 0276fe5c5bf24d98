"""Pots: profiles, painted decoration, handles and feet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator

from heritage.demo.drawing.bestiary import FIGURES
from heritage.demo.drawing.canvas import Canvas, Ink, Motif, flipped
from heritage.demo.drawing.curve import Angles, Knots, spline
from heritage.demo.drawing.material import Material, weathered
from heritage.demo.drawing.relief import Relief
from heritage.demo.drawing.revolution import Profile, profile, revolve
from heritage.demo.drawing.rng import choose
from heritage.demo.drawing.shading import Pose, Surface, blurred

# Each shape: (level, radius) from the foot, 0, to the lip, 1, in units of the height.
# fmt: off
SHAPES: dict[str, Knots] = {
    "albarello": [(0, .2), (.05, .22), (.12, .25), (.3, .21), (.5, .2), (.7, .21), (.85, .25), (.9, .17),
                  (1, .19)],
    "amphora": [(0, .13), (.025, .14), (.05, .09), (.08, .09), (.2, .19), (.45, .31), (.6, .31), (.71, .22),
                (.76, .13), (.9, .125), (.95, .17), (1, .175)],
    "beaker": [(0, .22), (.06, .22), (.1, .21), (.5, .27), (1, .34)],
    "bowl": [(0, .3), (.07, .3), (.1, .27), (.2, .42), (.5, .68), (1, .86)],
    "canopic": [(0, .24), (.05, .25), (.3, .28), (.62, .3), (.8, .31), (.93, .27), (.99, .2), (1, .16)],
    "ding": [(0, .05), (.12, .32), (.4, .52), (.85, .55), (.9, .6), (1, .6)],
    "gourd": [(0, .18), (.12, .28), (.33, .32), (.5, .2), (.56, .14), (.68, .2), (.8, .19), (.9, .08),
              (1, .07)],
    "gu": [(0, .23), (.18, .14), (.38, .12), (.42, .15), (.56, .15), (.6, .12), (.8, .17), (1, .37)],
    "hu": [(0, .24), (.08, .23), (.12, .2), (.35, .33), (.5, .33), (.75, .17), (.9, .17), (1, .2)],
    "jar": [(0, .18), (.1, .22), (.4, .34), (.65, .36), (.8, .27), (.86, .2), (.95, .21), (1, .23)],
    "krater": [(0, .2), (.04, .2), (.08, .09), (.13, .1), (.25, .27), (.5, .35), (.75, .37), (.95, .43),
               (1, .45)],
    "lekythos": [(0, .14), (.03, .14), (.05, .08), (.1, .14), (.3, .165), (.6, .17), (.67, .16), (.73, .065),
                 (.87, .05), (.92, .1), (1, .105)],
    "meiping": [(0, .17), (.1, .16), (.4, .21), (.7, .32), (.82, .32), (.9, .22), (.94, .1), (1, .12)],
    "mosque lamp": [(0, .22), (.04, .2), (.1, .1), (.16, .16), (.35, .34), (.48, .34), (.6, .19), (.66, .18),
                    (1, .36)],
    "pear": [(0, .17), (.03, .17), (.2, .29), (.4, .27), (.65, .12), (.85, .075), (1, .16)],
    "squat": [(0, .25), (.1, .34), (.35, .48), (.6, .47), (.8, .3), (.86, .22), (1, .26)],
    "tall jar": [(0, .1), (.1, .14), (.4, .25), (.7, .3), (.85, .22), (.9, .17), (1, .19)],
}
# fmt: on

SIDES = (-np.pi / 2, np.pi / 2)
"""Azimuths of a pair of handles."""


def shape(rng: Generator, name: str, *, mouth: bool = True, fit: float = 0.86, lift: float = 0.0) -> Profile:
    """One pot of a named shape, a little fatter or slimmer than the next."""
    swell, lean = rng.uniform(0.88, 1.14), rng.uniform(-0.03, 0.03)
    knots = [(level + lean * np.sin(np.pi * level), radius * swell) for level, radius in SHAPES[name]]
    return profile(knots, mouth=mouth, fit=fit, lift=lift)


def sheet(n: int, outline: Profile, ground: Ink) -> Canvas:
    """A sheet to paint and wrap round a pot: one turn wide, in units of the pot's height."""
    aspect = 2 * np.pi * float(outline.radius.max()) / outline.height
    return Canvas(max(48, round(n * 0.6 * outline.height)), min(aspect, 6.0), ground)


def companion(wrap: Canvas) -> Canvas:
    """A mask of the same size as a sheet, for its relief."""
    return Canvas(wrap.pixels.shape[0], wrap.aspect, 0)


def procession(
    wrap: Canvas,
    rng: Generator,
    motifs: Sequence[Motif | str],
    top: float,
    bottom: float,
    inks: Sequence[Ink],
) -> None:
    """Set figures, given as motifs or by name, side by side round the middle of a sheet."""
    size = (bottom - top) / 2
    count = max(3, int(wrap.aspect / (2.0 * size)))
    step = wrap.aspect / count
    for k in range(count):
        chosen = choose(rng, *motifs)
        motif = FIGURES[chosen]() if isinstance(chosen, str) else chosen
        motif = motif if rng.random() < 0.6 else flipped(motif)
        wrap.stamp(motif, [((k + 0.5) * step, (top + bottom) / 2)], size * 0.94, inks)


def thrown(
    pose: Pose,
    outline: Profile,
    wrap: Canvas,
    body: Material,
    *,
    wear: float = 0.0,
    relief: Canvas | None = None,
    depth: float = 0.02,
    inside: Ink | None = None,
) -> Surface:
    """Draw a pot with a painted sheet wrapped round it.

    Args:
        pose: The pose to draw.
        outline: The pot's profile.
        wrap: The painted sheet.
        body: Its material, whose colour shows where paint is worn off.
        wear: Fraction of worn paint.
        relief: A mask whose light parts stand out by ``depth``.
        depth: Height of the relief in units of the frame; negative sinks it.
        inside: Colour seen through the mouth; the body's where omitted.
    """
    colour = weathered(pose.rng, wrap.pixels, body.grain, wear, body.ink)
    raised = None
    if relief is not None:
        raised = blurred(relief.pixels.astype(np.float32), 0.007 * relief.unit) * np.float32(depth / 255)
    within = np.square(np.array(inside or body.ink, np.float32) / 255)
    seen = revolve(outline, colour, within, pose.n, turn=pose.turn, tilt=pose.tilt, relief=raised)
    seen.gloss, seen.satin, seen.metal = body.gloss, body.satin, body.metal
    return seen


def attach(
    pose: Pose,
    pot: Surface,
    outline: Profile,
    body: Material,
    knots: Knots,
    width: float,
    azimuths: Sequence[float] | Angles,
) -> None:
    """Put handles, a spout or legs on a pot.

    Args:
        pose: The pose to draw.
        pot: The pot, changed in place.
        outline: Its profile.
        body: Material of the parts.
        knots: (level, distance from the axis) along a part, the distance in heights of the pot.
        width: Thickness in units of the frame.
        azimuths: Where round the axis, radians; 0 faces the camera before the pot is turned.
    """
    path = spline(knots, 6)
    out = path[:, 1] * outline.height
    up = (path[:, 0] - 0.5) * outline.height * np.cos(pose.tilt) + outline.lift
    parts = Relief(pose.n, body)
    around = np.asarray(azimuths) - pose.turn
    for angle in sorted(around, key=np.cos):
        front = np.cos(angle) > -0.05
        line = np.stack([out * np.sin(angle), out * np.cos(angle) * np.sin(pose.tilt) - up], -1)
        parts.rod(line, width, hidden_by=None if front else pot.cover)
    pot.lay(parts.surface(pose.rng))
