"""Objects of the ancient Near East: tablets, seals, painted pots, votive figures, glazed bricks, idols."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.random import Generator

from heritage.demo.drawing import bestiary, ornament
from heritage.demo.drawing.blank import slab
from heritage.demo.drawing.canvas import Canvas, flipped
from heritage.demo.drawing.curve import both, ellipse, points, ragged, rectangle, spline, whole
from heritage.demo.drawing.face import face, facing
from heritage.demo.drawing.kind import Kind, Origin
from heritage.demo.drawing.material import ink_of, inks, pick
from heritage.demo.drawing.relief import Relief
from heritage.demo.drawing.rng import choose
from heritage.demo.drawing.script import wedges
from heritage.demo.drawing.shading import Pose, Surface
from heritage.demo.drawing.vessel import shape, sheet, thrown


def tablet(pose: Pose) -> Surface:
    """A pillow of clay covered with cuneiform, some with a corner gone."""
    rng = pose.rng
    piece = Relief(pose.n, pick(rng, "buff", "buff", "terracotta", "grey clay"))
    wide, high = rng.uniform(0.5, 0.84), rng.uniform(0.6, 0.86)
    corners = ragged(rng, rectangle(wide, high), 0.012, 4)
    piece.slab(spline([*corners, *corners[:2]], 4), 0.2, 0.3)
    rows = int(rng.integers(6, 12))
    marks = piece.mask()
    marks.fill(wedges(rng, (-0.9 * wide, -0.92 * high, 0.9 * wide, 0.92 * high), rows), 255)
    levels = np.linspace(-0.92 * high, 0.92 * high, rows + 1)
    marks.line([points((-0.95 * wide, y), (0.95 * wide, y)) for y in levels], 90, 0.012)
    if rng.random() < 0.3:
        marks.line([points((0, -high), (0, high))], 120, 0.02)
    piece.press(marks, 0.05, 0.008)
    if rng.random() < 0.5:
        piece.chip(rng)
    piece.stain((70, 52, 38), 0.9, 0.03)
    return piece.surface(rng, pose.turn * 0.5)


def seal_impression(pose: Pose) -> Surface:
    """A cylinder seal rolled out: beasts and spirits on a strip of clay, at times with the seal itself."""
    rng = pose.rng
    piece = Relief(pose.n, pick(rng, "buff", "limestone", "grey clay", "terracotta"))
    half = rng.uniform(0.34, 0.5)
    piece.slab(ragged(rng, rectangle(0.88, half), 0.014), 0.12, 0.05)
    marks = piece.mask()
    pair = choose(rng, ("genius", "lion"), ("ibex", "genius"), ("lion", "bull"), ("bull", "ibex"))
    size = half * 0.82
    spots = np.arange(-0.88 + size, 0.9 - size, 1.75 * size)
    for k, x in enumerate(spots):
        motif = bestiary.FIGURES[pair[k % 2]]()
        marks.stamp(motif if k % 4 < 2 else flipped(motif), [(x, 0.02)], size, (255, 120, 200))
    for x in spots[:-1] + 0.87 * size:
        marks.stamp(
            choose(rng, ornament.star(6, 0.4), ornament.rosette(8)), [(x, -0.6 * half)], 0.2 * half, (255, 0)
        )
    marks.line([points((-0.88, y * half), (0.88, y * half)) for y in (-0.93, 0.93)], 150, 0.02)
    piece.press(marks, -0.07, 0.012)
    if rng.random() < 0.45:
        body = points((-0.9, -half * 1.25), (-0.56, -half * 1.25), (-0.56, half * 1.25), (-0.9, half * 1.25))
        piece.slab(body, 0.17, 0.17, 0.1)
        piece.paint.fill([body], pick(rng, "lapis", "steatite", "carnelian", "basalt").ink)
        cut = piece.mask()
        cut.stamp(bestiary.ibex(), [(-0.73, 0.3 * half), (-0.73, -0.6 * half)], 0.16, (255,))
        piece.press(cut, 0.04)
    piece.stain((80, 62, 46), 0.8, 0.04)
    return piece.surface(rng, pose.turn * 0.5)


def painted_pot(pose: Pose) -> Surface:
    """A painted pot of ancient Iran: ibexes in frames, hatching and bands."""
    rng = pose.rng
    outline = shape(rng, choose(rng, "beaker", "beaker", "jar", "squat"))
    clay = pick(rng, "buff", "buff", "terracotta", "grey clay")
    wrap = sheet(pose.n, outline, clay.ink)
    dark = ink_of(rng, "brown", "black")
    borders = (ornament.ray(), ornament.lozenge(), ornament.chevron(), ornament.checks())
    wrap.band(0.02, 0.06, dark)
    wrap.frieze(choose(rng, *borders), 0.1, 0.23, int(rng.integers(14, 22)), (dark,))
    panels = max(3, round(wrap.aspect / 0.55))
    step = wrap.aspect / panels
    beast = choose(rng, bestiary.ibex, bestiary.ibex, bestiary.bird, bestiary.lion)()
    for x in np.arange(panels) * step:
        wrap.line([points((x + d, 0.26), (x + d, 0.74)) for d in (0, 0.05)], dark, 0.014)
        wrap.stamp(beast, [(x + step / 2 + 0.02, 0.5)], (0.38 * step, 0.21), (dark, clay.ink))
    for y in (0.26, 0.74, 0.8):
        wrap.band(y - 0.012, y + 0.012, dark)
    wrap.frieze(choose(rng, *borders), 0.84, 0.94, 20, (dark,))
    return thrown(pose, outline, wrap, clay, wear=rng.uniform(0, 0.45))


def worshipper(pose: Pose) -> Surface:
    """A Sumerian votive figure with inlaid eyes, clasped hands and a skirt of tufts."""
    rng = pose.rng
    piece = Relief(pose.n, pick(rng, "limestone", "limestone", "alabaster", "buff", "steatite"))
    waist = rng.uniform(0.2, 0.26)
    skirt = [(0, 0.05), (-waist, 0.05), (-1.35 * waist, 0.5), (-1.5 * waist, 0.84), (0, 0.88)]
    piece.slab(whole(spline(skirt)), 0.34, 0.3)
    piece.slab(whole(spline([(0, -0.4), (-0.3, -0.38), (-0.38, -0.2), (-waist, 0.1), (0, 0.12)])), 0.3, 0.2)
    for arm in both(spline([(-0.34, -0.26), (-0.36, 0.0), (-0.1, -0.06), (0.04, -0.08)])):
        piece.rod(arm, 0.13, 0.2)
    piece.mound(0, -0.08, 0.11, 0.08, 0.42)
    tufts = piece.mask()
    for y in np.arange(0.2, 0.8 - 0.15 * rng.integers(3), 0.15):
        for x in np.arange(-4, 5) * 0.085:
            tufts.line([spline([(x - 0.04, y - 0.1), (x, y + 0.04), (x + 0.04, y - 0.1)])], 255, 0.025)
    piece.press(tufts, 0.045)
    piece.mound(0, -0.62, 0.24, 0.3, 0.36)
    face(piece, 0, -0.6, 0.52, 0.2, eyes=2.4, painted=True)
    if rng.random() < 0.5:
        piece.slab(points((-0.17, -0.5), (0.17, -0.5), (0.14, -0.14), (-0.14, -0.14)), 0.14, 0.06, 0.3)
        waves = piece.mask()
        waves.line([points((-0.15, y), (0.15, y)) for y in np.arange(-0.42, -0.15, 0.06)], 255, 0.015)
        piece.press(waves, 0.03)
    piece.stain((60, 48, 36), 0.8)
    return piece.surface(rng, facing(pose))


def glazed_bricks(pose: Pose) -> Surface:
    """A Babylonian panel: a lion, a bull or rosettes in relief over courses of glazed brick."""
    rng = pose.rng
    piece = Relief(pose.n, pick(rng, "cobalt glaze", "turquoise glaze", "blue faience", "buff"))
    wide, high = 0.88, rng.uniform(0.6, 0.84)
    piece.slab(ragged(rng, rectangle(wide, high), 0.01), 0.1, 0.03)
    pale, ochre = inks(rng, "cream", "ochre")
    if rng.random() < 0.6:
        motif = choose(rng, bestiary.lion, bestiary.bull)()
        motif = motif if rng.random() < 0.5 else flipped(motif)
        spots, scale = [(0.0, 0.0)], (0.8, 0.85 * high)
    else:
        motif, scale = ornament.rosette(12), (0.25, 0.25)
        spots = [(x, y) for x in (-0.55, 0.0, 0.55) for y in ((-0.38, 0.38) if high > 0.7 else (0.0,))]
    figure = piece.mask()
    figure.stamp(motif, spots, scale, (255, 160))
    piece.paint.stamp(motif, spots, scale, (pale, ochre))
    piece.press(figure, -0.09, 0.02)
    joints = piece.mask()
    levels = np.linspace(-high, high, int(rng.integers(6, 9)))
    joints.line([points((-wide, y), (wide, y)) for y in levels], 255, 0.018)
    for row, (y0, y1) in enumerate(itertools.pairwise(levels)):
        joints.line(
            [points((x, y0), (x, y1)) for x in np.arange(-wide + 0.3 * (row % 2), wide, 0.6)], 255, 0.018
        )
    piece.press(joints, 0.05, 0.006)
    piece.stain((60, 50, 42), 0.9, 0.03)
    return piece.surface(rng, pose.turn * 0.5)


def wall_relief(pose: Pose) -> Surface:
    """A slab from an Assyrian palace: a winged spirit, a lion or a bull, and a band of text."""

    def carve(mask: Canvas, rng: Generator, wide: float, high: float) -> None:
        if rng.random() < 0.6:
            mask.stamp(bestiary.genius(), [(0, 0)], (0.9 * wide, 0.82 * high), (255, 110, 180))
        else:
            mask.stamp(choose(rng, bestiary.lion, bestiary.bull)(), [(0, -0.05)], 0.82 * wide, (255, 90))
        y = rng.uniform(0.1, 0.45)
        mask.fill(wedges(rng, (-0.9 * wide, y, 0.9 * wide, y + 0.3), 3), 0)

    return slab(pose, carve, rounded=False, sunk=False)


def eye_idol(pose: Pose) -> Surface:
    """A flat body whose head is a pair of ringed eyes."""
    rng = pose.rng
    piece = Relief(pose.n, pick(rng, "alabaster", "limestone", "steatite", "terracotta"))
    foot, neck = rng.uniform(0.4, 0.62), rng.uniform(0.16, 0.24)
    half = [(0, -0.16), (-neck, -0.12), (-neck, 0.0), (-foot * 0.85, 0.25), (-foot, 0.82), (0, 0.86)]
    piece.slab(whole(spline(half)), 0.2, 0.14)
    rings = piece.mask()
    for side in (-1, 1):
        spot = (side * 0.25, -0.42)
        piece.mound(*spot, 0.3, 0.34, 0.24)
        for reach in (0.22, 0.13):
            rings.line([ellipse(*spot, reach, reach * 1.1)], 255, 0.035, closed=True)
        rings.disc(*spot, 0.05, 255)
    for y in 0.35 + 0.14 * np.arange(rng.integers(0, 4)):
        rings.line([points((-foot, y), (0, y + 0.07), (foot, y))], 200, 0.025)
    piece.press(rings, 0.07)
    piece.stain((70, 56, 42), 0.8)
    return piece.surface(rng, pose.turn * 0.4)


_SUMER = Origin("Sumerian", (("Early Dynastic III", -2600, -2350), ("Ur III", -2112, -2004)))
_BABYLON = Origin("Babylonian", (("Old Babylonian", -1894, -1595), ("Neo-Babylonian", -626, -539)))
_ASSYRIA = Origin("Assyrian", (("Neo-Assyrian", -883, -612),))
_IRAN = Origin("Iran", (("Susa I", -4200, -3800), ("Sialk III", -4000, -3500), ("Iron Age II", -1000, -800)))
_URUK = Origin("Northern Mesopotamia", (("Late Uruk", -3700, -3300),))

KINDS = (
    Kind(
        "tablet", 31, tablet, ("Administrative tablet", "Letter to a merchant", "School text"), _BABYLON, 0.15
    ),
    Kind(
        "cylinder seal",
        19,
        seal_impression,
        ("Seal with a contest", "Seal with spirits and animals"),
        _ASSYRIA,
        0.08,
    ),
    Kind("painted pot", 18, painted_pot, ("Beaker with ibexes", "Painted jar"), _IRAN, breaks=0.15),
    Kind("statuette", 12, worshipper, ("Standing worshipper", "Votive figure"), _SUMER, 0.06),
    Kind(
        "glazed bricks",
        9,
        glazed_bricks,
        ("Panel with a striding animal", "Panel with rosettes"),
        _BABYLON,
        0.05,
    ),
    Kind(
        "wall relief",
        6,
        wall_relief,
        ("Relief with a winged genius", "Relief with an animal"),
        _ASSYRIA,
        0.06,
    ),
    Kind("idol", 5, eye_idol, ("Eye idol",), _URUK, 0.1),
)
