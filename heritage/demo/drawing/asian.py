"""East and South Asian objects: porcelain, celadon, ritual bronzes, buddhas, hanging scrolls."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from heritage.demo.drawing import bestiary, ornament
from heritage.demo.drawing.canvas import Canvas, Ink
from heritage.demo.drawing.curve import arc, both, ellipse, limb, points, rectangle, spline
from heritage.demo.drawing.dish import dish, ring
from heritage.demo.drawing.face import face, facing
from heritage.demo.drawing.kind import Kind, Origin
from heritage.demo.drawing.material import ink_of, inks, mixed, pick
from heritage.demo.drawing.relief import Relief
from heritage.demo.drawing.rng import choose
from heritage.demo.drawing.script import character
from heritage.demo.drawing.shading import Pose, Surface
from heritage.demo.drawing.vessel import SIDES, attach, companion, procession, shape, sheet, thrown


def porcelain_vase(pose: Pose) -> Surface:
    """A Chinese vase in underglaze blue, rarely in red."""
    rng = pose.rng
    outline = shape(rng, choose(rng, "meiping", "gourd", "pear", "jar", "hu"))
    body = pick(rng, "porcelain")
    wrap = sheet(pose.n, outline, body.ink)
    blue, pale = inks(rng, "blue" if rng.random() < 0.88 else "red", "azure")
    count = max(3, round(wrap.aspect / 0.42))
    field = choose(rng, "dragons", "flowers", "cranes")
    if field == "dragons":
        procession(wrap, rng, ("dragon",), 0.28, 0.7, (blue, pale, body.ink))
        clouds = np.stack([rng.uniform(0, wrap.aspect, 9), rng.uniform(0.26, 0.7, 9)], -1)
        wrap.stamp(ornament.cloud(), clouds, 0.055, (pale, pale))
    elif field == "flowers":
        wrap.frieze(ornament.peony(), 0.26, 0.7, count, (blue, pale))
    else:
        wrap.frieze(ornament.cloud(), 0.3, 0.46, count * 2, (blue, pale))
        procession(wrap, rng, ("crane",), 0.44, 0.72, (blue, pale))
    wrap.frieze(ornament.petal_panel(), 0.76, 0.95, count * 4, (blue, pale))
    wrap.frieze(choose(rng, ornament.scales(), ornament.thunder()), 0.13, 0.21, count * 5, (blue, pale))
    for y in (0.11, 0.23, 0.73, 0.97):
        wrap.band(y - 0.006, y + 0.006, blue)
    return thrown(pose, outline, wrap, body)


def porcelain_dish(pose: Pose) -> Surface:
    """A dish in underglaze blue: a dragon, a peony, a sign or cranes within a border."""
    body = pick(pose.rng, "porcelain")

    def paint(inside: Canvas, rng: Generator) -> None:
        blue, pale = inks(rng, "blue", "azure")
        field = choose(rng, "dragon", "peony", "sign", "cranes")
        if field == "dragon":
            inside.stamp(bestiary.dragon(), [(0, 0)], 0.46, (blue, pale, body.ink))
        elif field == "peony":
            inside.stamp(ornament.peony(), [(0, 0)], 0.42, (blue, pale))
            ring(inside, ornament.cloud(), 0.42, 0.1, (pale, pale), 5)
        elif field == "sign":
            inside.stamp(character(rng), [(0, 0)], 0.24, (blue,))
            ring(inside, ornament.cloud(), 0.38, 0.13, (pale, blue), 6)
        else:
            inside.stamp(bestiary.crane(), [(0.1, -0.12), (-0.22, 0.2)], 0.26, (blue, pale), [0.0, 0.6])
            shore = [(-0.5, 0.4), (-0.2, 0.3), (0.1, 0.42), (0.5, 0.36), (0.3, 0.52), (-0.3, 0.52)]
            inside.fill([spline(shore)], pale)
        border = choose(rng, ornament.scales(), ornament.cloud(), ornament.thunder(), ornament.peony())
        ring(inside, border, 0.73, 0.09, (blue, pale))
        for reach in (0.55, 0.59, 0.83):
            inside.disc(0, 0, reach, blue, 0.014)

    return dish(pose, body, paint)


def celadon(pose: Pose) -> Surface:
    """A celadon vessel with petals and scrolls carved under the glaze."""
    rng = pose.rng
    outline = shape(rng, choose(rng, "meiping", "pear", "bowl", "gourd"))
    body = pick(rng, "celadon")
    wrap = sheet(pose.n, outline, body.ink)
    cut = companion(wrap)
    deep = mixed(body.ink, (40, 70, 50), 0.3)
    count = max(5, round(wrap.aspect / 0.3))
    for canvas, tones in ((cut, (255, 200)), (wrap, (deep, deep))):
        canvas.frieze(ornament.petal_panel(), 0.58, 0.95, count, tones)
        canvas.frieze(ornament.peony(), 0.2, 0.54, max(3, count // 2), tones)
    return thrown(pose, outline, wrap, body, relief=cut, depth=-0.025)


def ritual_bronze(pose: Pose) -> Surface:
    """A Shang or Zhou bronze, ding, gu or hu, with masks and square spirals in relief."""
    rng = pose.rng
    form = choose(rng, "ding", "ding", "gu", "hu")
    outline = shape(rng, form, fit=0.62, lift=0.18) if form == "ding" else shape(rng, form)
    metal = pick(rng, "bronze", "verdigris")
    wrap = sheet(pose.n, outline, metal.ink)
    raised = companion(wrap)
    top, bottom = {"ding": (0.14, 0.44), "gu": (0.4, 0.62), "hu": (0.42, 0.72)}[form]
    count = max(3, round(wrap.aspect / (bottom - top) / 1.9))
    wrap.band(top, bottom, mixed(metal.ink, (0, 0, 0), 0.45))
    for canvas, tones in ((raised, (255, 120)), (wrap, (metal.ink, metal.ink))):
        canvas.frieze(ornament.mask(), top, bottom, count, tones)
        canvas.frieze(ornament.thunder(), bottom + 0.03, bottom + 0.11, count * 7, tones)
        if form != "ding":
            canvas.frieze(ornament.petal_panel(), 0.06, top - 0.08, count * 3, tones)
    seen = thrown(pose, outline, wrap, metal, relief=raised, depth=0.035)
    if form == "ding":
        leg = [(0.3, 0.4), (0.0, 0.4), (-0.62 / outline.height, 0.38)]
        attach(pose, seen, outline, metal, leg, 0.17, (0.5, 2.6, 4.7))
        for spread in (-0.3, 0.3):
            ear = [(0.95, 0.54), (1.15, 0.57), (1.32, 0.57)]
            attach(pose, seen, outline, metal, ear, 0.09, [side + spread for side in SIDES])
    return seen


def buddha(pose: Pose) -> Surface:
    """A seated buddha on a lotus throne, some before a halo."""
    rng = pose.rng
    piece = Relief(pose.n, pick(rng, "gold", "gold", "bronze", "limestone", "sandstone"))
    if rng.random() < 0.6:
        halo = ellipse(0, -0.35, 0.5, 0.58, count=40)
        piece.slab(halo, 0.06, 0.05)
        rim = piece.mask()
        rim.line([ellipse(0, -0.35, 0.43, 0.5, count=40)], 255, 0.03, closed=True)
        piece.press(rim, 0.03)
    _throne(piece)
    for side in (-1, 1):
        piece.mound(side * 0.34, 0.46, 0.36, 0.16, 0.46, turn=side * 0.15)
    chest = [
        (0, -0.32),
        (-0.3, -0.26),
        (-0.36, 0.0),
        (-0.26, 0.5),
        (0.26, 0.5),
        (0.36, 0.0),
        (0.3, -0.26),
        (0, -0.32),
    ]
    piece.slab(spline(chest), 0.36, 0.25)
    for arm in both(spline([(-0.33, -0.18), (-0.46, 0.14), (-0.34, 0.36), (-0.05, 0.38)])):
        piece.rod(arm, 0.17, 0.22)
    if rng.random() < 0.4:
        piece.rod(spline([(0.33, -0.15), (0.44, 0.05), (0.3, -0.1), (0.28, -0.22)]), 0.14, 0.32)
    robe = piece.mask()
    for k in range(5):
        fold = [(-0.28 + 0.03 * k, -0.22 + 0.12 * k), (0, 0.02 + 0.12 * k), (0.26, -0.14 + 0.12 * k)]
        robe.line([spline(fold)], 255, 0.022)
    piece.press(robe, 0.035)
    _head(piece, -0.52, 0.44)
    piece.stain((48, 40, 26), 0.7)
    return piece.surface(rng, facing(pose))


def _throne(piece: Relief) -> None:
    seat = points((-0.62, 0.6), (0.62, 0.6), (0.52, 0.76), (0.6, 0.92), (-0.6, 0.92), (-0.52, 0.76))
    piece.slab(seat, 0.3, 0.1)
    petals = piece.mask()
    for x in np.arange(-4, 5) * 0.13:
        for y, tone in ((0.62, 255), (0.92, 200)):
            petals.line([spline([(x - 0.06, y), (x, 0.78), (x + 0.06, y)])], tone, 0.025)
    piece.press(petals, 0.05)


def _head(piece: Relief, y: float, size: float) -> None:
    """A head with long ears, a topknot and hair in tight knobs."""
    piece.mound(0, y - 0.12 * size, 0.46 * size, 0.52 * size, 0.36)
    piece.mound(0, y - 0.66 * size, 0.22 * size, 0.22 * size, 0.34)
    for side in (-1, 1):
        piece.mound(side * 0.47 * size, y + 0.08 * size, 0.08 * size, 0.32 * size, 0.26)
    knobs = piece.mask()
    for row in range(5):
        for x in (np.arange(-4, 5) + 0.5 * (row % 2)) * 0.1 * size:
            knobs.disc(x, y + (-0.8 + 0.12 * row) * size, 0.042 * size, 255)
    piece.press(knobs, -0.05 * size, 0.012)
    face(piece, 0, y + 0.05 * size, size, 0.3, eyes=0.5)


def hanging_scroll(pose: Pose) -> Surface:
    """A landscape in ink on silk or paper, with an inscription and a red seal."""
    rng = pose.rng
    piece = Relief(pose.n, pick(rng, "paper", "paper", "linen"))
    silk, wide = piece.material.ink, rng.uniform(0.42, 0.62)
    mount, dark = ink_of(rng, "azure", "green", "ochre", "cream"), ink_of(rng, "black", "brown")
    paint = piece.paint
    piece.slab(rectangle(wide + 0.06, 0.92), 0.02, 0.01)
    paint.fill([rectangle(wide + 0.06, 0.92)], mount)
    paint.fill([rectangle(wide, 0.76)], silk)
    _mountains(paint, rng, wide, silk, dark)
    _pine(paint, rng, choose(rng, -0.55, 0.55) * wide, 0.62, dark)
    for y in (-0.84, 0.84):
        paint.box(-wide - 0.06, y - 0.08, wide + 0.06, y + 0.08, mount)
    x, count = choose(rng, -1, 1) * (wide - 0.09), int(rng.integers(4, 8))
    for k in range(count):
        paint.stamp(character(rng), [(x, -0.66 + 0.1 * k)], 0.042, (dark,))
    seal = -0.68 + 0.1 * count
    paint.box(x - 0.055, seal, x + 0.055, seal + 0.11, ink_of(rng, "red"))
    for y in (-0.92, 0.92):
        piece.rod(points((-wide - 0.12, y), (wide + 0.12, y)), 0.06)
    return piece.surface(rng, pose.turn * 0.4)


def _mountains(paint: Canvas, rng: Generator, wide: float, silk: Ink, dark: Ink) -> None:
    """Four ranges, each darker than the one behind, with mist at their feet."""
    x = np.linspace(-wide, wide, 12)
    for depth in range(4):
        level = -0.35 + 0.28 * depth
        peak = (x - rng.uniform(-0.6, 0.6) * wide) / (0.3 * wide)
        ridge = level - (0.42 - 0.07 * depth) * np.exp(-(peak**2)) + rng.normal(0, 0.03, 12)
        foot = points((wide, level + 0.3), (-wide, level + 0.3))
        paint.fill(
            [np.concatenate([spline(np.stack([x, ridge], -1)), foot])], mixed(silk, dark, 0.22 + 0.2 * depth)
        )
        mist = [(-wide, level + 0.26), (0, level + 0.24), (wide, level + 0.28)]
        paint.fill([limb(mist, [0.1, 0.16, 0.1])], mixed(silk, dark, 0.08))
    paint.box(-wide, 0.58, wide, 0.76, silk)


def _pine(paint: Canvas, rng: Generator, x: float, y: float, ink: Ink) -> None:
    paint.fill([limb([(x, y), (x + 0.04, y - 0.2), (x - 0.03, y - 0.4)], [0.05, 0.04, 0.02])], ink)
    for k in range(5):
        paint.fill([arc(x + rng.uniform(-0.12, 0.12), y - 0.18 - 0.06 * k, 0.09, np.pi, 2 * np.pi)], ink)


_SHANG = Origin("China", (("Shang dynasty", -1300, -1046), ("Western Zhou dynasty", -1046, -771)))
_SONG = Origin("China", (("Northern Song dynasty", 960, 1127), ("Southern Song dynasty", 1127, 1279)))
_MING = Origin(
    "China", (("Yuan dynasty", 1320, 1368), ("Ming dynasty", 1368, 1644), ("Qing dynasty", 1644, 1800))
)
_INDIA = Origin("Northern India or Nepal", (("Gupta", 320, 550), ("Pala", 750, 1150)))

KINDS = (
    Kind("vase", 31, porcelain_vase, ("Vase with flower scroll", "Vase with clouds"), _MING, breaks=0.08),
    Kind("ritual vessel", 19, ritual_bronze, ("Food vessel", "Wine vessel"), _SHANG),
    Kind("plate", 16, porcelain_dish, ("Dish in underglaze blue",), _MING, 0.4),
    Kind("buddha", 13, buddha, ("Seated Buddha", "Buddha in meditation"), _INDIA),
    Kind("celadon", 11, celadon, ("Vessel with carved petals",), _SONG, breaks=0.08),
    Kind("hanging scroll", 10, hanging_scroll, ("Mountains in mist", "Pines below a peak"), _MING),
)
