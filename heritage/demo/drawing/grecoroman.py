"""Greek and Roman objects: painted vases, cups, statuettes, heads, coins."""

from __future__ import annotations

from functools import partial
from typing import Literal

import numpy as np
from numpy.random import Generator

from heritage.demo.drawing import bestiary, ornament
from heritage.demo.drawing.blank import coin, legend
from heritage.demo.drawing.canvas import Canvas
from heritage.demo.drawing.curve import ellipse, limb, placed, points, spiral, spline, turns
from heritage.demo.drawing.dish import dish, ring
from heritage.demo.drawing.face import face, facing
from heritage.demo.drawing.kind import Kind, Origin
from heritage.demo.drawing.material import ink_of, pick
from heritage.demo.drawing.relief import Relief
from heritage.demo.drawing.rng import choose
from heritage.demo.drawing.shading import Pose, Surface
from heritage.demo.drawing.vessel import SIDES, attach, procession, shape, sheet, thrown

# Each form: top and bottom of the picture; the handle's line; its thickness; where it sits.
_HANDLES = {
    "amphora": (0.30, 0.72, [(0.93, 0.12), (0.95, 0.24), (0.85, 0.31), (0.68, 0.26)], 0.075, SIDES),
    "krater": (0.18, 0.62, [(0.5, 0.36), (0.52, 0.5), (0.62, 0.52), (0.66, 0.38)], 0.075, SIDES),
    "lekythos": (0.30, 0.72, [(0.92, 0.07), (0.9, 0.16), (0.78, 0.16), (0.66, 0.14)], 0.06, (1.9,)),
}


def vase(pose: Pose, form: Literal["amphora", "krater", "lekythos"]) -> Surface:
    """An Attic vase in black-figure, red-figure or white-ground."""
    rng = pose.rng
    outline = shape(rng, form)
    clay, gloss = pick(rng, "terracotta"), pick(rng, "black gloss")
    dark = gloss.ink
    style = rng.choice(3, p=(0.45, 0.4, 0.15))
    ground = (clay.ink, dark, ink_of(rng, "cream"))[style]
    figure = (dark, clay.ink, dark)[style]
    top, bottom, handle, width, azimuths = _HANDLES[form]
    wrap = sheet(pose.n, outline, dark)
    wrap.band(top - 0.05, bottom, ground)
    if style == 0:
        wrap.band(0.86, 0.97, clay.ink)
        wrap.frieze(ornament.ray(), 0.85, 0.96, 18, (dark,))
    wrap.band(0.08, 0.2, clay.ink)
    wrap.frieze(ornament.palmette() if rng.random() < 0.6 else ornament.lotus(), 0.09, 0.19, 14, (dark,))
    wrap.frieze(ornament.tongue(), top - 0.05, top, 34, (figure, figure))
    wrap.band(bottom, bottom + 0.075, clay.ink)
    border = ornament.meander() if rng.random() < 0.65 else ornament.running_spiral()
    wrap.frieze(border, bottom + 0.008, bottom + 0.067, round(wrap.aspect / 0.075), (dark,))
    cast = ("warrior", "lady", "warrior", "lion", "bird")
    procession(wrap, rng, cast, top + 0.01, bottom, (figure, ground, figure))
    seen = thrown(pose, outline, wrap, gloss.coloured(clay.ink), wear=rng.uniform(0, 0.35), inside=dark)
    attach(pose, seen, outline, gloss, handle, width, azimuths)
    return seen


def kylix(pose: Pose) -> Surface:
    """A drinking cup from above: one figure in a round frame of meander or palmettes."""
    clay, gloss = pick(pose.rng, "terracotta").ink, pick(pose.rng, "black gloss")

    def paint(inside: Canvas, rng: Generator) -> None:
        reach = rng.uniform(0.48, 0.6)
        inside.disc(0, 0, reach, clay)
        border = ornament.meander() if rng.random() < 0.6 else ornament.palmette()
        ring(inside, border, reach - 0.07, 0.065, (gloss.ink,), 22)
        red = rng.random() < 0.6
        field, figure = (gloss.ink, clay) if red else (clay, gloss.ink)
        inside.disc(0, 0, reach - 0.14, field)
        inside.disc(0, 0, reach - 0.14, clay, 0.015)
        motif = choose(rng, bestiary.warrior, bestiary.lady, bestiary.lion, bestiary.bird)()
        inside.stamp(motif, [(0, 0)], reach - 0.18, (figure, field, figure))

    return dish(pose, gloss, paint)


def draped_woman(pose: Pose) -> Surface:
    """A woman wrapped in a mantle with slanting folds, of the kind found at Tanagra."""
    rng = pose.rng
    piece = Relief(pose.n, pick(rng, "terracotta", "terracotta", "buff"))
    sway = rng.uniform(-0.1, 0.1)
    half = [(0, -0.48), (-0.24, -0.42), (-0.34, -0.1), (-0.26, 0.2), (-0.36, 0.6), (-0.4, 0.8)]
    outline = spline([*half, (0, 0.84), *[(-x + sway * 0.5, y) for x, y in half[:0:-1]], (0, -0.48)])
    piece.slab(outline, 0.36, 0.34)
    if rng.random() < 0.5:
        piece.paint.fill([placed(outline, 0, 0.35)], ink_of(rng, "azure", "cream", "red"))
    _folds(piece, rng)
    piece.rod(spline([(-0.28, -0.25), (-0.36, 0.05), (-0.1, 0.08)]), 0.15, 0.22)
    piece.slab(points((-0.4, 0.8), (0.4, 0.8), (0.44, 0.92), (-0.44, 0.92)), 0.2, 0.05)
    piece.rod(points((sway * 0.3, -0.55), (sway * 0.5, -0.42)), 0.17, 0.15)
    piece.mound(sway, -0.68, 0.18, 0.22, 0.34)
    piece.mound(sway, -0.88, 0.11, 0.09, 0.28)
    face(piece, sway, -0.64, 0.36, 0.24)
    piece.stain((70, 44, 32), 0.7)
    return piece.surface(rng, facing(pose))


def _folds(piece: Relief, rng: Generator) -> None:
    folds = piece.mask()
    start = rng.uniform(-0.1, 0.2)
    for k in range(8):
        x = -0.34 + k * 0.1
        folds.line(
            [spline([(x, start + 0.1 * (k % 3)), (x + 0.03 * np.sin(k), 0.5), (x * 1.1, 0.84)])], 255, 0.03
        )
    for k in range(6):
        across = [(-0.32 + 0.04 * k, -0.3 + 0.1 * k), (0, -0.15 + 0.1 * k), (0.34, -0.38 + 0.09 * k)]
        folds.line([spline(across)], 230, 0.026)
    piece.press(folds, 0.07, 0.016)


def head(pose: Pose) -> Surface:
    """A head with curled hair, some with a wreath, broken off at the neck."""
    rng = pose.rng
    piece = Relief(pose.n, pick(rng, "marble", "marble", "terracotta", "bronze"))
    neck = points(
        (-0.26, 0.4), (-0.24, 0.8), (0, rng.uniform(0.8, 0.95)), (0.28, rng.uniform(0.7, 0.9)), (0.26, 0.4)
    )
    piece.slab(neck, 0.4, 0.26)
    wide = rng.uniform(0.95, 1.08)
    piece.mound(0, -0.18, 0.5 * wide, 0.62, 0.5)
    for side in (-1, 1):
        piece.mound(side * 0.46 * wide, 0.0, 0.07, 0.16, 0.36)
    face(piece, 0, 0.02, 0.98, 0.34)
    curls = piece.mask()
    for row in range(3):
        reach = 0.98 - 0.14 * row
        for angle in np.linspace(np.pi + 0.1, 2 * np.pi - 0.1, 13 - row):
            spot = (0.47 * reach * np.cos(angle), -0.16 + 0.6 * reach * np.sin(angle))
            curls.line([spiral(*spot, 0.06, angle, 1.0, 9)], 255, 0.022)
    piece.press(curls, -0.05)
    if rng.random() < 0.5:
        piece.slab(limb([(-0.45, -0.3), (0, -0.5), (0.45, -0.3)], [0.06, 0.1, 0.06]), 0.08, 0.04, 0.46)
    piece.stain((58, 48, 38), 0.7, 0.08)
    return piece.surface(rng, facing(pose))


def stater(pose: Pose) -> Surface:
    """A silver coin with the head of a goddess in profile, or with an animal."""
    rng = pose.rng

    def strike(piece: Relief, mask: Canvas, rng: Generator) -> None:
        for angle in turns(40):
            mask.disc(0.7 * np.cos(angle), 0.7 * np.sin(angle), 0.022, 220)
        if rng.random() < 0.6:
            _profile(piece, mask)
        else:
            beast = choose(rng, bestiary.bird, bestiary.lion, bestiary.bull, bestiary.warrior)()
            mask.stamp(beast, [(0, 0)], 0.5, (255, 110, 110))
        legend(mask, rng, 0.58, 3, 9)

    return coin(pose, pick(rng, "silver", "silver", "bronze"), strike)


def _profile(piece: Relief, mask: Canvas) -> None:
    """A head turned right, its hair in curls under a band."""
    piece.mound(-0.06, -0.1, 0.36, 0.42, 0.3)
    front = [(0.2, -0.42), (0.36, -0.12), (0.46, 0.02), (0.36, 0.08), (0.38, 0.2), (0.28, 0.32), (0.1, 0.34)]
    neck = points((0.14, 0.6), (-0.3, 0.6), (-0.2, 0.2), (-0.1, -0.3))
    piece.slab(np.concatenate([spline(front), neck]), 0.2, 0.14)
    mask.fill([ellipse(0.2, -0.08, 0.05, 0.03)], 255)
    for row in range(3):
        reach = 0.44 - 0.12 * row
        for angle in np.linspace(2.2, 5.6, 9):
            spot = (-0.06 + reach * np.cos(angle), -0.12 + reach * np.sin(angle))
            mask.line([spiral(*spot, 0.06, angle, 1.0, 8)], 210, 0.022)
    mask.line([spline([(-0.42, -0.1), (-0.1, -0.36), (0.26, -0.34)])], 255, 0.05)


_ATTIC = Origin("Greek, Attic", (("Archaic", -560, -480), ("Classical", -480, -380)))
_GREEK = Origin("Greek", (("Late Classical", -400, -323), ("Hellenistic", -323, -100)))
_ROMAN = Origin("Roman", (("Early Imperial", -27, 96), ("Mid Imperial", 96, 235)))

KINDS = (
    Kind("amphora", 28, partial(vase, form="amphora"), ("Amphora with warriors", "Amphora with a procession"),
         _ATTIC, breaks=0.12),
    Kind("krater", 18, partial(vase, form="krater"), ("Bell-krater with figures", "Mixing bowl"),
         _ATTIC, breaks=0.12),
    Kind("lekythos", 16, partial(vase, form="lekythos"), ("Oil flask with a lady", "Lekythos"),
         _ATTIC, breaks=0.08),
    Kind("kylix", 15, kylix, ("Drinking cup with a single figure",), _ATTIC, 0.4),
    Kind("statuette", 9, draped_woman, ("Statuette of a draped woman", "Standing woman in a mantle"), _GREEK),
    Kind("coin", 7, stater, ("Stater with the head of a goddess", "Drachm"), _GREEK, 0.2),
    Kind("head", 7, head, ("Head of a youth", "Portrait of a victor"), _ROMAN, 0.06),
)  # fmt: skip
