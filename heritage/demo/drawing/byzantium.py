"""Byzantine and Coptic objects: icons, tapestry, crosses, coins, painted pots, ostraka."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from heritage.demo.drawing import bestiary, ornament
from heritage.demo.drawing.blank import coin, legend
from heritage.demo.drawing.canvas import Canvas, Ink
from heritage.demo.drawing.curve import (
    both,
    ellipse,
    limb,
    points,
    ragged,
    rectangle,
    spline,
    turns,
    whole,
)
from heritage.demo.drawing.face import face
from heritage.demo.drawing.icon import icon
from heritage.demo.drawing.kind import Kind, Origin
from heritage.demo.drawing.material import ink_of, inks, mottle, pick
from heritage.demo.drawing.relief import Relief
from heritage.demo.drawing.rng import choose
from heritage.demo.drawing.script import letters, write_lines
from heritage.demo.drawing.shading import Pose, Surface
from heritage.demo.drawing.vessel import procession, shape, sheet, thrown


def tapestry(pose: Pose) -> Surface:
    """A piece of a Coptic tunic: a roundel or bands of tapestry on linen, frayed and holed."""
    rng = pose.rng
    piece = Relief(pose.n, pick(rng, "linen"))
    ground = piece.material.ink
    wide, high = rng.uniform(0.74, 0.88, 2)
    piece.slab(ragged(rng, rectangle(wide, high) + rng.normal(0, 0.05, (4, 2)), 0.022, 12), 0.03, 0.02)
    dark, accents = ink_of(rng, "purple", "purple", "purple", "brown"), inks(rng, "red", "ochre")
    if rng.random() < 0.75:
        _roundel(piece.paint, rng, ground, dark, accents)
    else:
        _clavi(piece.paint, rng, ground, dark, accents)
    n = piece.n
    threads = np.sin(np.arange(n) * (2 * np.pi * 44 / n)).astype(np.float32)[:, None]
    slub = mottle(rng, (n, 4), (64,))[:, :1] + 0.6 * mottle(rng, (4, n), (64,))[:1]
    piece.height += (0.0022 * threads + 0.006 * slub) * (piece.height > 0)
    piece.lose(rng, 0.6)
    fringe = piece.mask()
    for y in (-high, high):
        ends = rng.normal(0, 0.02, 40), y + np.sign(y) * rng.uniform(0.03, 0.09, 40)
        roots = np.linspace(-wide, wide, 40)
        fringe.line(
            [points((x, y), (x + dx, end)) for x, dx, end in zip(roots, *ends, strict=True)], 200, 0.012
        )
    piece.cover = np.maximum(piece.cover, fringe.pixels * np.float32(1 / 255))
    return piece.surface(rng, pose.turn * 0.3)


_WOVEN = (bestiary.lion, bestiary.bird, bestiary.orant, bestiary.ibex, bestiary.warrior, bestiary.fish)


def _roundel(paint: Canvas, rng: Generator, ground: Ink, dark: Ink, accents: list[Ink]) -> None:
    """A disc with a vine round a beast or a figure."""
    reach = rng.uniform(0.56, 0.66)
    paint.disc(0, 0, reach, dark)
    for scale in (0.94, 0.62):
        paint.disc(0, 0, reach * scale, ground, 0.025)
    angle = turns(10)
    spots = 0.78 * reach * np.stack([np.cos(angle), np.sin(angle)], -1)
    paint.stamp(ornament.vine(), spots, 0.17 * reach, (ground, accents[0]), angle)
    paint.stamp(choose(rng, *_WOVEN)(), [(0, 0)], 0.44 * reach, (ground, *accents))


def _clavi(paint: Canvas, rng: Generator, ground: Ink, dark: Ink, accents: list[Ink]) -> None:
    """Two bands of rings with a beast or a figure in each."""
    for x in (-0.27, 0.27):
        paint.box(x - 0.16, -0.9, x + 0.16, 0.9, dark)
        for y in np.arange(-0.66, 0.8, 0.36):
            paint.disc(x, y, 0.13, accents[1] if rng.random() < 0.3 else ground, 0.025)
            paint.stamp(choose(rng, *_WOVEN)(), [(x, y)], 0.11, (ground, *accents))


def cross(pose: Pose) -> Surface:
    """A processional or pectoral cross with flared arms and punched rings."""
    rng = pose.rng
    piece = Relief(pose.n, pick(rng, "gold", "bronze", "bronze", "silver"))
    flare, waist, foot = rng.uniform(0.18, 0.28), rng.uniform(0.08, 0.12), rng.uniform(0.74, 0.88)
    arm = limb([(0, -0.08), (0.66, -0.08)], [2 * waist, 2 * flare])
    upright = [
        limb([(0, -0.05), (0, -0.72)], [2 * waist, 2 * flare]),
        limb([(0, -0.15), (0, foot)], [2 * waist, 2 * flare]),
    ]
    for part in (*upright, *both(arm)):
        piece.slab(part, 0.1, 0.05)
    for side in (-1, 1):
        for x, y in ((flare, -0.74), (flare, foot), (0.68, -0.08 - flare), (0.68, -0.08 + flare)):
            piece.mound(side * x, y, 0.05, 0.05, 0.1)
    marks = piece.mask()
    for x, y in ((0, -0.5), (0, 0.3), (0, foot - 0.16), (-0.48, -0.08), (0.48, -0.08), (0, -0.08)):
        marks.line([ellipse(x, y, 0.075, 0.075)], 255, 0.025, closed=True)
        marks.disc(x, y, 0.022, 255)
    if rng.random() < 0.5:
        for y in np.arange(-0.3, foot - 0.3, 0.15):
            marks.stamp(choose(rng, *letters()), [(0, y)], 0.05, (230,))
    piece.press(marks, 0.04, 0.006)
    if rng.random() < 0.4:
        piece.mound(0, -0.08, 0.1, 0.1, 0.24)
        piece.paint.disc(0, -0.08, 0.1, pick(rng, "carnelian", "lapis", "green faience").ink)
    piece.stain((60, 70, 54), 0.7)
    return piece.surface(rng, pose.turn * 0.5)


def solidus(pose: Pose) -> Surface:
    """A gold coin: a crowned bust facing, or a cross on steps."""
    rng = pose.rng

    def strike(piece: Relief, mask: Canvas, rng: Generator) -> None:
        mask.line([ellipse(0, 0, 0.72, 0.72, count=48)], 220, 0.03, closed=True)
        if rng.random() < 0.65:
            piece.slab(whole(spline([(0, 0.05), (-0.34, 0.16), (-0.42, 0.62)])), 0.16, 0.1)
            face(piece, 0, -0.16, 0.46, 0.1, eyes=1.6)
            mask.line([spline([(-0.22, -0.3), (0, -0.38), (0.22, -0.3)])], 255, 0.1)
            mask.stamp(ornament.flared_cross(), [(0, -0.5), (0.34, 0.34)], 0.1, (255,))
            mask.line(
                [points((-0.3 + 0.12 * k, 0.22), (-0.36 + 0.144 * k, 0.6)) for k in range(6)], 160, 0.03
            )
        else:
            mask.stamp(ornament.flared_cross(), [(0, -0.06)], (0.34, 0.42), (255,))
            steps = [(0.14 + 0.1 * k, 0.44 + 0.08 * k) for k in range(3)]
            mask.line([points((-x, y), (x, y)) for x, y in steps], 230, 0.05)
        legend(mask, rng, 0.61, 2, 8)
        legend(mask, rng, 0.61, 16, 22)

    return coin(pose, pick(rng, "gold"), strike)


def coptic_pot(pose: Pose) -> Surface:
    """A Coptic pot with fish, birds, crosses or knots in dark outline on cream."""
    rng = pose.rng
    outline = shape(rng, choose(rng, "jar", "squat", "amphora", "tall jar"))
    clay = pick(rng, "terracotta", "buff", "buff")
    wrap = sheet(pose.n, outline, clay.ink)
    cream, dark, red = inks(rng, "cream", "brown", "red")
    wrap.band(0.22, 0.68, cream if rng.random() < 0.6 else clay.ink)
    motifs = (bestiary.fish(), bestiary.bird(), ornament.flared_cross(), ornament.rosette(8), ornament.knot())
    procession(wrap, rng, motifs, 0.27, 0.63, (dark, red, cream))
    wrap.frieze(choose(rng, ornament.vine(), ornament.guilloche()), 0.1, 0.2, 16, (dark, red))
    wrap.frieze(ornament.zigzag(), 0.72, 0.78, 24, (dark,))
    for y in (0.22, 0.68):
        wrap.band(y - 0.012, y + 0.012, dark)
    return thrown(pose, outline, wrap, clay, wear=rng.uniform(0.05, 0.4))


def ostrakon(pose: Pose) -> Surface:
    """A potsherd or flake of limestone with a note in ink."""
    rng = pose.rng
    piece = Relief(pose.n, pick(rng, "terracotta", "buff", "limestone"))
    corners = int(rng.integers(5, 8))
    angle = (np.arange(corners) + 0.35 * rng.random(corners)) * (2 * np.pi / corners)
    outline = np.stack([0.84 * np.cos(angle), 0.72 * np.sin(angle)], -1) * rng.uniform(
        0.85, 1.05, (corners, 1)
    )
    piece.slab(ragged(rng, outline, 0.012), 0.14, 0.05)
    ink = ink_of(rng, "black")
    write_lines(
        piece.paint, rng, (-0.62, -0.46, 0.6, 0.5), int(rng.integers(5, 8)), ink, rng.uniform(-0.1, 0.1)
    )
    piece.paint.stamp(ornament.flared_cross(), [(-0.62, -0.44)], 0.08, (ink,))
    if rng.random() < 0.5:
        grooves = piece.mask()
        grooves.line([points((-1, y), (1, y + 0.05)) for y in np.arange(-0.9, 0.9, 0.14)], 130, 0.03)
        piece.press(grooves, 0.02, 0.02)
    return piece.surface(rng, pose.turn * 0.5)


_COPTIC = Origin("Coptic", (("Early Byzantine", 350, 640), ("Early Islamic Egypt", 641, 900)))
_BYZANTINE = Origin(
    "Byzantine",
    (("Early Byzantine", 450, 700), ("Middle Byzantine", 843, 1204), ("Late Byzantine", 1261, 1453)),
)

KINDS = (
    Kind("icon", 40, icon, ("Icon of a saint", "Icon from a screen"), _BYZANTINE),
    Kind("textile", 25, tapestry, ("Roundel from a tunic", "Tapestry from a tunic"), _COPTIC, 0.1),
    Kind("cross", 21, cross, ("Processional cross", "Pectoral cross"), _BYZANTINE, 0.15),
    Kind("pot", 5, coptic_pot, ("Painted pot",), _COPTIC, breaks=0.1),
    Kind("coin", 5, solidus, ("Solidus",), _BYZANTINE, 0.2),
    Kind("ostrakon", 4, ostrakon, ("Letter to a monk",), _COPTIC, 0.2),
)
