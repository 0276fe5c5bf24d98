"""Islamic objects: star tiles, wall tiles, lustre bowls, Iznik dishes, inscribed jars, mosque lamps."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from heritage.demo.drawing import bestiary, ornament
from heritage.demo.drawing.canvas import Canvas, Ink, bent
from heritage.demo.drawing.curve import Points, ellipse, limb, points, ragged, rectangle, spun, turns
from heritage.demo.drawing.dish import dish, ring
from heritage.demo.drawing.kind import Kind, Origin
from heritage.demo.drawing.material import MATERIALS, ink_of, inks, pick
from heritage.demo.drawing.relief import Relief
from heritage.demo.drawing.rng import choose
from heritage.demo.drawing.script import cursive, kufic
from heritage.demo.drawing.shading import Pose, Surface
from heritage.demo.drawing.vessel import attach, shape, sheet, thrown

_GLAZES = (
    ("cream", "lustre", "azure"),
    ("white", "blue", "turquoise"),
    ("turquoise", "black", "blue"),
    ("blue", "cream", "gold"),
)


def star_tile(pose: Pose) -> Surface:
    """An eight-pointed star or a cross from a Persian wall, in lustre or underglaze colours."""
    rng = pose.rng
    ground, dark, bright = inks(rng, *choose(rng, *_GLAZES))
    piece = Relief(pose.n, MATERIALS["white glaze"].coloured(ground))
    outline = ornament.star(8, 0.7654)[0].points * 0.9
    if rng.random() < 0.3:
        arm = points((-0.3, -0.62), (0, -0.9), (0.3, -0.62), (0.3, -0.3))
        outline = np.concatenate([spun(arm, turn) for turn in turns(4)])
    piece.slab(outline, 0.12, 0.03)
    paint = piece.paint
    if rng.random() < 0.5:
        paint.line([outline * 0.9], dark, 0.03, closed=True)
        word = bent(cursive(rng, 4.8), 0.66, 0.36, 0.05)
        paint.stamp(word, [(0, 0)] * 8, 1.0, (dark,), turns(8))
    field = choose(rng, "arabesque", "arabesque", "star", "star", "beast")
    if field == "arabesque":
        paint.stamp(ornament.arabesque(choose(rng, 6, 8)), [(0, 0)], 0.58, (dark, bright))
    elif field == "star":
        paint.stamp(ornament.strapwork(), [(0, 0)], 0.56, (dark, bright))
    else:
        beast = choose(rng, bestiary.bird, bestiary.ibex, bestiary.lion)()
        paint.stamp(beast, [(0, 0)], 0.42, (dark, ground, dark))
        paint.stamp(ornament.rosette(5), rng.uniform(-0.5, 0.5, (9, 2)), 0.07, (bright, ground))
    _wear_glaze(piece, rng, outline)
    return piece.surface(rng, pose.turn * 0.5)


def _wear_glaze(piece: Relief, rng: Generator, outline: Points) -> None:
    """Craze the glaze and knock it off some corners."""
    if rng.random() < 0.5:
        piece.crack(rng, 160, (90, 74, 58), 0.45)
    lost = piece.mask()
    for _ in range(int(rng.integers(0, 4))):
        x, y = outline[int(rng.integers(len(outline)))]
        flaw = ragged(rng, ellipse(x, y, rng.uniform(0.05, 0.16), rng.uniform(0.05, 0.16), count=7), 0.015, 3)
        piece.paint.fill([flaw], MATERIALS["buff"].ink)
        lost.fill([flaw], 255)
    piece.press(lost, 0.03)


def wall_tile(pose: Pose) -> Surface:
    """A square tile: Ottoman flowers, a field of strapwork or a line of writing."""
    rng = pose.rng
    white, blue, red = inks(rng, "white", "blue", "red")
    green = ink_of(rng, "turquoise", "green")
    piece = Relief(pose.n, MATERIALS["white glaze"].coloured(white))
    outline = rectangle(0.84, rng.uniform(0.74, 0.84))
    piece.slab(outline, 0.1, 0.03)
    paint = piece.paint
    field = choose(rng, "flowers", "strapwork", "writing")
    if field == "flowers":
        for k, x in enumerate((-0.5, 0.0, 0.5)):
            bloom = choose(rng, ornament.tulip(), ornament.carnation())
            paint.stamp(bloom, [(x, 0.05 * (-1) ** k)], (0.32, 0.7), (blue if k % 2 else red, green, blue))
    elif field == "strapwork":
        light, dark = choose(rng, (white, blue), (blue, white))
        paint.fill([outline], light)
        step = 1.68 / int(rng.integers(2, 4))
        middles = np.arange(-0.84 + step / 2, 0.84, step)
        paint.stamp(ornament.strapwork(), [(x, y) for x in middles for y in middles], step / 2, (dark, green))
    else:
        paint.fill([outline], blue)
        paint.stamp(ornament.arabesque(6), [(-0.56, 0.0), (0.0, 0.0), (0.56, 0.0)], 0.34, (green, green))
        paint.stamp(cursive(rng, 2.6), [(0, 0.02)], (0.76, 0.3), (white,))
    _wear_glaze(piece, rng, outline)
    return piece.surface(rng, pose.turn * 0.5)


def lustre_bowl(pose: Pose) -> Surface:
    """A bowl painted in lustre: writing round the rim, an arabesque or an animal within."""
    rng = pose.rng
    body = pick(rng, "white glaze")
    dark, ground = ink_of(rng, "lustre"), body.ink

    def paint(inside: Canvas, rng: Generator) -> None:
        inside.disc(0, 0, 0.83, dark, 0.03)
        word = bent(kufic(rng, 5.4), 0.69, np.pi / 4, 0.1)
        inside.stamp(word, [(0, 0)] * 4, 1.0, (dark,), turns(4))
        inside.disc(0, 0, 0.56, dark)
        if rng.random() < 0.7:
            inside.stamp(ornament.arabesque(choose(rng, 5, 6, 8)), [(0, 0)], 0.54, (ground, ground))
        else:
            beast = choose(rng, bestiary.bird, bestiary.ibex, bestiary.lion)()
            inside.stamp(beast, [(0, 0)], 0.4, (ground, dark, dark))
            ring(inside, ornament.rosette(5), 0.48, 0.05, (ground, dark), 16)

    return dish(pose, body, paint)


def iznik_dish(pose: Pose) -> Surface:
    """An Iznik dish: tulips and carnations springing from one tuft, waves on the rim."""
    rng = pose.rng

    def paint(inside: Canvas, rng: Generator) -> None:
        blue, red = inks(rng, "blue", "red" if rng.random() < 0.6 else "blue")
        green = ink_of(rng, "turquoise", "green")
        for k, turn in enumerate((-0.75, 0.0, 0.75)):
            bloom = choose(rng, ornament.tulip(), ornament.carnation())
            spot = (0.42 * np.sin(turn), 0.04 - 0.16 * np.cos(turn))
            inside.stamp(bloom, [spot], (0.2, 0.4), (red if k % 2 else blue, green, blue), turn)
        for side in (-1, 1):
            inside.fill([limb([(0, 0.5), (side * 0.3, 0.4), (side * 0.5, 0.1)], [0.03, 0.13, 0.01])], green)
        ring(inside, choose(rng, ornament.cloud(), ornament.running_spiral()), 0.73, 0.085, (blue, blue))
        inside.disc(0, 0, 0.62, blue, 0.02)

    return dish(pose, pick(rng, "white glaze"), paint, lobes=choose(rng, 0, 16))


def inscribed_jar(pose: Pose) -> Surface:
    """A Syrian or Persian jar: bands of writing and arabesque under the glaze."""
    rng = pose.rng
    outline = shape(rng, "albarello")
    glaze, colour = choose(rng, ("white glaze", "blue"), ("turquoise glaze", "black"))
    body = pick(rng, glaze)
    dark, second = ink_of(rng, colour), ink_of(rng, "turquoise", "blue", "black")
    wrap = sheet(pose.n, outline, body.ink)
    count = round(wrap.aspect / 0.32)
    motif = choose(rng, ornament.arabesque(6), ornament.strapwork(), ornament.carnation())
    wrap.frieze(motif, 0.36, 0.66, count, (dark, second, body.ink))
    _write_round(wrap, rng, 0.26, 0.065, dark)
    wrap.frieze(choose(rng, ornament.guilloche(), ornament.zigzag()), 0.71, 0.79, count * 2, (dark, second))
    for y in (0.17, 0.34, 0.68, 0.82, 0.9):
        wrap.band(y - 0.008, y + 0.008, dark)
    return thrown(pose, outline, wrap, body, wear=rng.uniform(0, 0.25))


def _write_round(wrap: Canvas, rng: Generator, y: float, half: float, ink: Ink) -> None:
    """Write a line all round a pot, ``half`` its half height."""
    wide = wrap.aspect / 2
    wrap.stamp(choose(rng, cursive, kufic)(rng, wide / half), [(wide, y)], (wide, half), (ink,))


def mosque_lamp(pose: Pose) -> Surface:
    """A Mamluk lamp of enamelled glass with a wide neck and six handles."""
    rng = pose.rng
    outline = shape(rng, "mosque lamp")
    glass = pick(rng, "celadon", "white glaze")
    wrap = sheet(pose.n, outline, glass.ink)
    blue, gold, red = inks(rng, "blue", "gold", "red")
    wrap.band(0.05, 0.27, blue)
    _write_round(wrap, rng, 0.16, 0.08, gold)
    wrap.frieze(ornament.arabesque(6), 0.44, 0.6, 9, (blue, red))
    wrap.frieze(ornament.carnation(), 0.66, 0.75, 14, (blue, gold, red))
    for y in (0.04, 0.28, 0.36, 0.42, 0.62, 0.76, 0.85):
        wrap.band(y - 0.01, y + 0.01, gold)
    seen = thrown(pose, outline, wrap, glass, wear=rng.uniform(0, 0.2))
    handle = [(0.67, 0.2), (0.66, 0.27), (0.59, 0.3), (0.54, 0.31)]
    attach(pose, seen, outline, glass, handle, 0.045, turns(6))
    return seen


_KASHAN = Origin("Iran, Kashan", (("Seljuq", 1150, 1220), ("Ilkhanid", 1256, 1335)))
_IZNIK = Origin("Turkey, Iznik", (("Ottoman", 1530, 1600),))
_MAMLUK = Origin("Egypt or Syria", (("Ayyubid", 1171, 1250), ("Mamluk", 1290, 1420)))

KINDS = (
    Kind("star tile", 27, star_tile, ("Star tile", "Tile from a frieze"), _KASHAN, 0.3),
    Kind("wall tile", 25, wall_tile, ("Tile with flowers", "Tile from a wall panel"), _IZNIK, 0.06),
    Kind("dish", 18, iznik_dish, ("Dish with tulips and carnations",), _IZNIK, 0.3),
    Kind("bowl", 14, lustre_bowl, ("Bowl with lustre decoration",), _KASHAN, 0.5),
    Kind("jar", 10, inscribed_jar, ("Albarello", "Jar with an inscription"), _MAMLUK, breaks=0.08),
    Kind("mosque lamp", 6, mosque_lamp, ("Lamp of a sultan",), _MAMLUK),
)
