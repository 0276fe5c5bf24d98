"""Egyptian objects: ushabtis, scarabs, canopic jars, amulets, stelae, papyri."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from heritage.demo.drawing import bestiary
from heritage.demo.drawing.blank import slab
from heritage.demo.drawing.canvas import Canvas, Ink, flipped
from heritage.demo.drawing.curve import (
    arc,
    both,
    ellipse,
    placed,
    points,
    ragged,
    rectangle,
    spiral,
    spline,
    whole,
)
from heritage.demo.drawing.face import face, facing
from heritage.demo.drawing.kind import Kind, Origin
from heritage.demo.drawing.material import INKS, Material, ink_of, inks, mottle, pick, tint
from heritage.demo.drawing.relief import Relief
from heritage.demo.drawing.rng import choose
from heritage.demo.drawing.script import hieroglyphs, write_columns
from heritage.demo.drawing.shading import Pose, Surface
from heritage.demo.drawing.vessel import shape, sheet, thrown


def _wig(piece: Relief, x: float, y: float, size: float, base: float, ink: Ink | None) -> None:
    """A wig or striped kerchief round a face, with two lappets."""
    crown = ellipse(x, y - 0.12 * size, 0.6 * size, 0.66 * size)
    piece.mound(x, y - 0.12 * size, 0.6 * size, 0.66 * size, base + 0.3 * size, base=base)
    lappet = points((-0.38, -0.55), (-0.78, 0.2), (-0.56, 0.42), (-0.54, 0.95), (-0.2, 0.95), (-0.3, 0.2))
    for side in both(lappet):
        piece.slab(placed(side, x, y, size), 0.22 * size, 0.22 * size, base)
    if ink:
        for part in (crown, *(placed(side, x, y, size) for side in both(lappet))):
            piece.paint.fill([part], ink)
    grooves = piece.mask()
    for k in range(9):
        row = y + (-0.6 + 0.18 * k) * size
        ends = [
            points((0.2 * size, 0), (0.8 * size, 0.1 * size)),
            points((-0.2 * size, 0), (-0.8 * size, 0.1 * size)),
        ]
        grooves.line([placed(end, x, row) for end in ends], 255, 0.03 * size)
    piece.press(grooves, 0.05 * size)


def ushabti(pose: Pose) -> Surface:
    """A mummy-shaped servant figure with crossed arms, a wig and columns of text."""
    rng = pose.rng
    stuff = pick(rng, "blue faience", "blue faience", "green faience", "turquoise glaze", "limestone", "wood")
    piece = Relief(pose.n, stuff)
    ink = ink_of(rng, "black") if rng.random() < 0.75 else None
    broad = rng.uniform(0.26, 0.36)
    half = [(0, -0.5), (-0.75, -0.48), (-1.1, -0.3), (-1, 0.1), (-0.62, 0.6), (-0.66, 0.82), (0, 0.9)]
    piece.slab(whole(spline([(x * broad, y) for x, y in half])), 0.34, broad)
    piece.mound(0, 0.8, 0.6 * broad, 0.12, 0.42)
    size = rng.uniform(0.36, 0.44)
    _wig(piece, 0, -0.56, size, 0.2, ink if rng.random() < 0.6 else None)
    face(piece, 0, -0.58, size, 0.3, painted=ink is not None)
    for arm in both(spline([(-0.95 * broad, -0.2), (-0.4 * broad, -0.08), (0.35 * broad, -0.2)])):
        piece.rod(arm, 0.09, 0.27)
    box, width = (-0.5 * broad, 0.08, 0.5 * broad, 0.72), rng.uniform(0.11, 0.2)
    if ink:
        write_columns(piece.paint, rng, box, width, ink)
    else:
        text = piece.mask()
        write_columns(text, rng, box, width, 255)
        piece.press(text, 0.02)
    piece.stain((40, 34, 28), 0.6)
    return piece.surface(rng, facing(pose))


def scarab(pose: Pose) -> Surface:
    """A scarab from above, or its flat base cut with signs."""
    rng = pose.rng
    stuff = pick(rng, "blue faience", "green faience", "steatite", "carnelian", "lapis", "basalt")
    piece = Relief(pose.n, stuff)
    wide, long = rng.uniform(0.56, 0.66), rng.uniform(0.78, 0.86)
    lines = piece.mask()
    piece.slab(ellipse(0, 0, wide * 1.03, long * 1.03, count=48), 0.12, 0.05)
    if rng.random() < 0.2:
        lines.line([ellipse(0, 0, wide * 0.88, long * 0.9, count=48)], 255, 0.035, closed=True)
        for y in (-0.5, -0.05, 0.42):
            for x in (-0.22, 0.22) if rng.random() < 0.6 else (0.0,):
                lines.stamp(choose(rng, *hieroglyphs()), [(x, y)], 0.18 if x else 0.26, (255,))
    else:
        _beetle(piece, lines, rng, wide, long)
    piece.press(lines, 0.06)
    piece.stain((44, 36, 28), 0.7)
    return piece.surface(rng, pose.turn * 0.5)


def _beetle(piece: Relief, lines: Canvas, rng: Generator, wide: float, long: float) -> None:
    """Wing cases, thorax and head, and the lines between and on them."""
    piece.mound(0, 0.12, wide * 0.94, long * 0.86, 0.46)
    piece.mound(0, -0.42 * long, wide * 0.82, 0.34 * long, 0.38)
    piece.mound(0, -0.8 * long, wide * 0.42, 0.2 * long, 0.26)
    waist = -0.16 * long
    lines.line([spline([(-wide, waist - 0.1), (0, waist + 0.04), (wide, waist - 0.1)])], 255, 0.04)
    lines.line([points((0, waist), (0, long))], 255, 0.035)
    for k in range(int(rng.integers(0, 5))):
        lines.line(both(arc(-0.05, 0.2, wide * (0.3 + 0.13 * k), -0.6, 1.0)), 160, 0.02)
    lines.line(
        [points((x, -0.98 * long), (x * 0.6, -0.8 * long)) for x in (-0.2, -0.07, 0.07, 0.2)], 255, 0.03
    )
    for y in (-0.3, 0.1, 0.4):
        lines.line(both(spline([(wide * 0.55, y), (wide * 0.85, y + 0.1), (wide, y + 0.3)])), 200, 0.03)


def canopic_jar(pose: Pose) -> Surface:
    """A canopic jar with the head of a man, jackal, falcon or baboon for a lid."""
    rng = pose.rng
    outline = shape(rng, "canopic", mouth=False, lift=-0.22, fit=0.66)
    stone = pick(rng, "alabaster", "limestone", "buff", "blue faience")
    wrap = sheet(pose.n, outline, stone.ink)
    middle = wrap.aspect / 2
    box = (middle - 0.26, 0.3, middle + 0.26, 0.86)
    write_columns(wrap, rng, box, rng.uniform(0.12, 0.18), ink_of(rng, "black"))
    seen = thrown(pose, outline, wrap, stone, wear=rng.uniform(0, 0.3))
    seen.lay(_lid(pose, stone, 0.34 * outline.height, -outline.lift - 0.5 * outline.height))
    return seen


def _lid(pose: Pose, stone: Material, size: float, foot: float) -> Surface:
    """A head ``size`` high whose neck sits at ``foot``, downwards from the middle of the frame."""
    rng = pose.rng
    piece = Relief(pose.n, stone)
    beast = choose(rng, None, "jackal", "falcon", "baboon")
    dark = ink_of(rng, "black", "blue", "brown") if rng.random() < 0.7 else None
    y = foot - 0.42 * size
    neck = points((-0.4, 0.1), (0.4, 0.1), (0.52, 0.62), (-0.52, 0.62))
    piece.slab(placed(neck, 0, y, size), 0.3 * size, 0.2 * size)
    if beast is None:
        _wig(piece, 0, y - 0.02 * size, 0.9 * size, 0.1, dark)
        face(piece, 0, y, 0.85 * size, 0.28, painted=dark is not None)
    else:
        _beast_head(piece, y, size, beast, dark or tint(rng, INKS["black"]))
    piece.stain((50, 42, 34), 0.7)
    return piece.surface(rng, facing(pose))


# Half width of the head; half width, half height and place of the muzzle, in heads.
_BEASTS = {
    "jackal": (0.42, 0.15, 0.42, 0.2),
    "falcon": (0.48, 0.09, 0.22, 0.1),
    "baboon": (0.56, 0.24, 0.24, 0.22),
}


def _beast_head(piece: Relief, y: float, size: float, beast: str, dark: Ink) -> None:
    head, wide, long, low = (part * size for part in _BEASTS[beast])
    if beast == "jackal":
        for ear in both(points((-0.36, -0.3), (-0.3, -1.02), (-0.04, -0.42))):
            piece.slab(placed(ear, 0, y, size), 0.2 * size, 0.12 * size)
            piece.paint.fill([placed(ear * 0.7, 0, y - 0.15 * size, size)], dark)
    piece.mound(0, y - 0.05 * size, head, 0.5 * size, 0.55 * size)
    piece.mound(0, y + low, wide, long, 0.85 * size, base=0.3 * size)
    piece.paint.fill([ellipse(0, y + long + low - 0.08 * size, 0.08 * size, 0.07 * size)], dark)
    for side in (-1, 1):
        spot = (side * 0.22 * size, y - 0.1 * size)
        piece.paint.fill([ellipse(*spot, 0.11 * size, 0.08 * size, side * 0.3)], INKS["white"])
        piece.paint.disc(*spot, 0.055 * size, dark)
        if beast == "falcon":
            mark = spline([(side * 0.2, 0.0), (side * 0.26, 0.22), (side * 0.16, 0.36)])
            piece.paint.line(
                [placed(mark, 0, y, size), ellipse(*spot, 0.13 * size, 0.1 * size)], dark, 0.04 * size
            )


def eye_amulet(pose: Pose) -> Surface:
    """A wedjat: brow, eye, and the falcon's markings below."""
    rng = pose.rng
    piece = Relief(pose.n, pick(rng, "blue faience", "blue faience", "green faience", "lapis", "carnelian"))
    brow = spline([(-0.85, -0.3), (-0.4, -0.62), (0.2, -0.58), (0.85, -0.32)])
    lid = spline([(-0.8, 0.0), (-0.35, -0.34), (0.15, -0.32), (0.6, -0.06), (0.9, -0.02)])
    under = spline([(-0.8, 0.0), (-0.3, 0.24), (0.2, 0.22), (0.6, -0.06)])
    tear = spline([(-0.1, 0.2), (-0.05, 0.5), (-0.16, 0.82)])
    curl = np.concatenate(
        [spline([(0.1, 0.2), (0.4, 0.55), (0.62, 0.66)]), spiral(0.68, 0.5, 0.18, 1.9, -1.2, 10)]
    )
    piece.slab(np.concatenate([brow, points((0.9, 0.0)), under[::-1]]), 0.08, 0.05)
    for line, width in ((brow, 0.14), (lid, 0.11), (under, 0.09), (tear, 0.13), (curl, 0.1)):
        piece.rod(line, width, 0.08)
    piece.mound(-0.06, -0.05, 0.19, 0.19, 0.2)
    if rng.random() < 0.6:
        dark = ink_of(rng, "black")
        piece.paint.disc(-0.06, -0.05, 0.19, dark)
        piece.paint.line([brow, lid, under], dark, 0.06)
    piece.stain((40, 34, 30), 0.8)
    return piece.surface(rng, pose.turn * 0.5)


def stela(pose: Pose) -> Surface:
    """A round-topped stela or a piece of temple wall: columns of signs over two figures."""

    def carve(mask: Canvas, rng: Generator, wide: float, high: float) -> None:
        for side in (-1, 1):
            figure = choose(rng, bestiary.kilted, bestiary.kilted, bestiary.bird)()
            spot = (side * 0.5 * wide, 0.3 * high)
            mask.stamp(figure if side < 0 else flipped(figure), [spot], 0.5 * wide, (255, 90, 180))
        box = (-0.85 * wide, -0.8 * high, 0.85 * wide, -0.22 * high)
        write_columns(mask, rng, box, rng.uniform(0.2, 0.3), 255)

    return slab(pose, carve, rounded=True, sunk=True)


def papyrus(pose: Pose) -> Surface:
    """A sheet from a Book of the Dead: columns of signs, and a vignette in colours."""
    rng = pose.rng
    piece = Relief(pose.n, pick(rng, "papyrus", "papyrus", "linen"))
    wide, high = rng.uniform(0.56, 0.88), rng.uniform(0.56, 0.84)
    piece.slab(ragged(rng, rectangle(wide, high) + rng.normal(0, 0.06, (4, 2)), 0.03, 10), 0.02, 0.015)
    dark, *colours = inks(rng, "black", "red", "cream", "black", "green", "azure")
    cut = rng.uniform(-0.1, 0.3)
    box = (-0.88 * wide, -0.84 * high, 0.88 * wide, cut * high)
    write_columns(piece.paint, rng, box, rng.uniform(0.13, 0.2), dark)
    for x in np.arange(-0.62, 0.7, 0.42) * (wide / 0.8):
        figure = choose(rng, bestiary.kilted, bestiary.kilted, bestiary.bird, bestiary.boat)()
        mixed = [colours[k] for k in rng.permutation(5)]
        piece.paint.stamp(figure, [(x, (cut + 0.9) / 2 * high)], 0.36 * (0.9 - cut) * high, mixed)
    piece.paint.line([points((-wide, cut * high + 0.02), (wide, cut * high + 0.02))], colours[0], 0.02)
    fibre = mottle(rng, (piece.n, 4), (90,))[:, :1] + 0.7 * mottle(rng, (4, piece.n), (90,))[:1]
    piece.paint.pixels = np.clip(piece.paint.pixels + 9 * fibre[..., None], 0, 255).astype(np.uint8)
    piece.lose(rng, 0.6)
    return piece.surface(rng, pose.turn * 0.3)


_EGYPT = Origin(
    "Egyptian",
    (
        ("New Kingdom, Dynasty 18", -1550, -1295),
        ("New Kingdom, Dynasty 19", -1295, -1186),
        ("Third Intermediate Period", -1070, -664),
        ("Late Period", -664, -332),
    ),
)

KINDS = (
    Kind("ushabti", 26, ushabti, ("Ushabti of an overseer", "Ushabti of a singer of Amun"), _EGYPT, 0.15),
    Kind("scarab", 18, scarab, ("Scarab with a royal name", "Scarab with good wishes"), _EGYPT, 0.5),
    Kind(
        "canopic jar", 18, canopic_jar, ("Canopic jar of a scribe", "Jar of one of the Sons of Horus"), _EGYPT
    ),
    Kind("stela", 16, stela, ("Stela with an offering scene", "Relief of a procession"), _EGYPT, 0.06),
    Kind("amulet", 11, eye_amulet, ("Wedjat eye amulet",), _EGYPT, 0.4),
    Kind("papyrus", 11, papyrus, ("Sheet from a Book of the Dead",), _EGYPT, 0.06),
)
