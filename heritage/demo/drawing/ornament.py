"""Ornament without figures: borders, flowers, stars and scrolls, each a `Motif` in a cell [-1, 1] squared.

Border motifs join at the left and right edges of the cell when they are repeated as a frieze.
"""

from __future__ import annotations

import functools

import numpy as np

from heritage.demo.drawing.canvas import Motif, Stroke, flipped
from heritage.demo.drawing.curve import (
    Angles,
    arc,
    both,
    ellipse,
    limb,
    mirrored,
    placed,
    points,
    polar,
    spiral,
    spline,
    spun,
    turns,
)


@functools.cache
def meander() -> Motif:
    """The Greek key."""
    key = points((-1, 0.8), (-1, -0.8), (0.62, -0.8), (0.62, 0.28), (-0.3, 0.28), (-0.3, -0.22))
    return (Stroke(key, 0.26), Stroke(points((-1, 0.8), (1, 0.8)), 0.26))


@functools.cache
def running_spiral() -> Motif:
    """The running dog, or Vitruvian scroll."""
    crest = spline([(-1, 0.8), (-0.6, 0.55), (-0.3, -0.3), (0.15, -0.8), (0.6, -0.4), (0.45, 0.1), (0.15, 0)])
    return (Stroke(crest, 0.24), Stroke(points((-1, 0.8), (1, 0.8)), 0.24))


@functools.cache
def thunder() -> Motif:
    """The square spiral (leiwen) of Chinese bronzes."""
    coil = [(-0.85, 0.85), (-0.85, -0.85), (0.85, -0.85), (0.85, 0.6), (-0.4, 0.6), (-0.4, -0.4), (0.4, -0.4),
            (0.4, 0.15), (0, 0.15)]  # fmt: skip
    return (Stroke(points(*coil), 0.2),)


@functools.cache
def tongue() -> Motif:
    """One tongue of a tongue pattern, hanging."""
    return (Stroke(spline([(-0.75, -1), (-0.7, 0.4), (0, 1), (0.7, 0.4), (0.75, -1)]), 0.14),
            Stroke(limb([(0, -1), (0, 0.2), (0, 0.7)], [0.7, 0.7, 0.1]), 0, 1))  # fmt: skip


@functools.cache
def ray() -> Motif:
    """One upright ray of the foot of a Greek vase."""
    return (Stroke(points((-0.6, 1), (0.6, 1), (0, -1))),)


@functools.cache
def chevron() -> Motif:
    """Three nested zigzags."""
    return tuple(Stroke(points((-1, y + 0.45), (0, y - 0.45), (1, y + 0.45)), 0.16) for y in (-0.5, 0, 0.5))


@functools.cache
def zigzag() -> Motif:
    """A single zigzag line."""
    return (Stroke(points((-1, 0.8), (0, -0.8), (1, 0.8)), 0.26),)


@functools.cache
def checks() -> Motif:
    """A cell of a chequer."""
    square = points((-1, -1), (0, -1), (0, 0), (-1, 0))
    return (Stroke(square), Stroke(square + 1))


@functools.cache
def lozenge() -> Motif:
    """A hatched lozenge between lines."""
    hatch = [Stroke(points((-0.8 + d, 0.1 + d), (-0.1 + d, -0.6 + d)), 0.1) for d in (0.05, 0.3, 0.55)]
    return (Stroke(points((-1, 0), (0, -0.95), (1, 0), (0, 0.95)), 0.2, closed=True), *hatch)


@functools.cache
def guilloche() -> Motif:
    """Two bands plaited round a row of eyes."""
    x = np.linspace(-1, 1, 17)
    wave = 0.75 * np.cos(np.pi * x)
    return (Stroke(np.stack([x, wave], -1), 0.34), Stroke(np.stack([x, -wave], -1), 0.34, 1),
            Stroke(ellipse(0, 0, 0.2, 0.2)))  # fmt: skip


@functools.cache
def rosette(petals: int) -> Motif:
    """A flower of pointed petals seen from above."""
    leaf = limb([(0, -0.18), (0, -0.6), (0, -1)], [0.08, 1.9 * np.sin(np.pi / petals), 0.1], 4)
    turns = np.arange(petals) * 2 * np.pi / petals
    return (*(Stroke(spun(leaf, turn)) for turn in turns), Stroke(ellipse(0, 0, 0.2, 0.2), 0, 1))


@functools.cache
def palmette(leaves: int = 9) -> Motif:
    """A fan of leaves on two volutes."""
    angles = np.linspace(-1.45, 1.45, leaves)
    fan = []
    for a in angles:
        reach = 0.75 + 0.25 * np.cos(a)
        tip = (reach * 1.15 * np.sin(a), 0.45 - 1.4 * reach * np.cos(a))
        middle = (0.55 * tip[0], 0.5 * (0.45 + tip[1]) - 0.03)
        fan.append(Stroke(limb([(0.1 * np.sin(a), 0.4), middle, tip], [0.05, 0.16, 0.2], 3)))
    volute = spiral(0.42, 0.72, 0.3, -2.4, -1.2, 14)
    return (*fan, Stroke(volute, 0.12), Stroke(mirrored(volute), 0.12))


@functools.cache
def lotus() -> Motif:
    """An Egyptian lotus in flower: three sepals, petals between."""
    side = limb([(0, 0.9), (-0.45, 0.2), (-0.95, -0.7)], [0.12, 0.4, 0.05])
    thin = limb([(0, 0.8), (-0.2, 0.1), (-0.45, -0.75)], [0.1, 0.22, 0.04])
    bud = limb([(0, 0.9), (0, 0.1), (0, -0.9)], [0.12, 0.4, 0.05])
    thins = [Stroke(petal, 0, 1) for petal in both(thin)]
    return (*thins, *(Stroke(petal) for petal in both(side)), Stroke(bud))


@functools.cache
def petal_panel() -> Motif:
    """One upright petal of a lotus-petal border, with its inner line."""
    outer = spline([(-0.85, 1), (-0.9, -0.1), (-0.5, -0.7), (0, -1), (0.5, -0.7), (0.9, -0.1), (0.85, 1)])
    return (Stroke(outer, 0.14), Stroke(outer * np.array((0.55, 0.6)) + np.array((0, 0.4)), 0.1, 1))


@functools.cache
def vine() -> Motif:
    """A wave of vine with a leaf above and grapes below."""
    x = np.linspace(-1, 1, 17)
    stem = np.stack([x, 0.4 * np.sin(np.pi * x)], -1)
    leaf = polar(lambda a: 0.3 + 0.1 * np.cos(5 * a), 30) + np.array((-0.5, 0.35))
    grapes = [Stroke(ellipse(0.5 + dx, -0.3 + dy, 0.13, 0.13, count=8), 0, 1) for dx, dy in
              ((-0.16, -0.1), (0.16, -0.1), (0, 0.05), (0, 0.3), (0, -0.3))]  # fmt: skip
    return (Stroke(stem, 0.12), Stroke(leaf), *grapes)


@functools.cache
def star(rays: int, inner: float = 0.62) -> Motif:
    """A filled star."""
    angle = np.arange(2 * rays) * np.pi / rays
    radius = np.where(np.arange(2 * rays) % 2, inner, 1.0)
    return (Stroke(np.stack([np.sin(angle), -np.cos(angle)], -1) * radius[:, None]),)


@functools.cache
def strapwork() -> Motif:
    """One repeat of an eight-fold girih: a star in the middle, its rays running on to the neighbours."""
    core = star(8, 0.7654)[0].points * 0.52
    straps = both(points((0.2, -0.48), (0.42, -1)))
    rays = [Stroke(spun(strap, turn), 0.1) for turn in turns(4) for strap in straps]
    kite = star(4, 0.45)[0].points
    corners = [Stroke(placed(kite, x, y, 0.22), 0, 1) for x in (-1, 1) for y in (-1, 1)]
    return (Stroke(core, 0.1, closed=True), Stroke(star(8, 0.6)[0].points * 0.3, 0, 1), *rays, *corners)


@functools.cache
def arabesque(folds: int) -> Motif:
    """A medallion of spiral stems and split leaves with ``folds``-fold symmetry."""
    strokes = []
    stem = spiral(0.1, -0.55, 0.36, 1.9, 1.15, 20)
    leaf = limb([(0, -0.2), (0.12, -0.55), (-0.1, -0.98)], [0.03, 0.24, 0.02])
    split = limb([(0.1, -0.55), (0.28, -0.72), (0.2, -0.95)], [0.02, 0.18, 0.02])
    for turn in turns(folds):
        strokes += [Stroke(spun(stem, turn), 0.07), Stroke(spun(leaf, turn)), Stroke(spun(split, turn), 0, 1)]
    return (*strokes, Stroke(ellipse(0, 0, 0.16, 0.16)))


@functools.cache
def tulip() -> Motif:
    """An Ottoman tulip on a curved stem."""
    bloom = [limb([(0, 0.05), (s * 0.34, -0.35), (s * 0.16, -1)], [0.1, 0.3, 0.02]) for s in (-1, 1)]
    middle = limb([(0, 0.1), (0, -0.4), (0, -0.9)], [0.1, 0.34, 0.02])
    saz = limb([(0.05, 0.95), (-0.5, 0.5), (-0.45, -0.2)], [0.03, 0.26, 0.02])
    stem = Stroke(spline([(0, 1), (0.1, 0.5), (0, 0)]), 0.09, 1)
    return (stem, Stroke(saz, 0, 1), Stroke(middle, 0, 2), Stroke(bloom[0]), Stroke(bloom[1]))


@functools.cache
def carnation() -> Motif:
    """An Ottoman carnation with a toothed edge."""
    angle = np.linspace(-1.25, 1.25, 19)
    rim = np.where(np.arange(19) % 2, 0.78, 1.0)
    fan = np.stack([rim * np.sin(angle), 0.1 - rim * np.cos(angle)], -1)
    leaf = limb([(0, 0.9), (0.4, 0.6), (0.55, 0.1)], [0.03, 0.2, 0.02])
    return (Stroke(points((0, 1), (0, 0.2)), 0.09, 1), Stroke(leaf, 0, 1),
            Stroke(np.concatenate([fan, points((0.12, 0.35), (-0.12, 0.35))])),
            Stroke(ellipse(0, 0.12, 0.16, 0.24), 0, 2))  # fmt: skip


@functools.cache
def cloud() -> Motif:
    """A Chinese cloud: two curls over a third, with a tail."""
    curls = [*both(spiral(0.4, -0.1, 0.42, 2.7, 1.3)), spiral(0, -0.55, 0.36, 1.5, 1.2)]
    tail = limb([(-0.1, 0.25), (0.3, 0.55), (1, 0.6)], [0.28, 0.16, 0.02])
    return (*(Stroke(curl, 0.13) for curl in curls), Stroke(tail, 0, 1))


def _petals(angle: Angles, count: int) -> Angles:
    return 0.85 + 0.15 * np.cos(count * angle)


@functools.cache
def peony() -> Motif:
    """A full flower on a scroll with curling leaves, which joins its neighbours as a frieze."""
    x = np.linspace(-1, 1, 17)
    stem = np.stack([x, 0.75 * np.cos(np.pi * x)], -1)
    rings = []
    for petals, size, ink in ((7, 0.62, 0), (6, 0.42, 1), (5, 0.24, 0)):
        bloom = polar(functools.partial(_petals, count=petals), 36)
        rings.append(Stroke(placed(bloom, 0, -0.05, size), 0, ink))
    curls = [Stroke(spiral(s * 0.85, 0.15, 0.3, 1.57 - s * 0.6, s * 1.1, 12), 0.09) for s in (-1, 1)]
    leaves = [Stroke(limb([(s * 0.7, -0.55), (s * 0.85, -0.8), (s * 1.05, -0.85)], [0.04, 0.26, 0.02]))
              for s in (-1, 1)]  # fmt: skip
    return (Stroke(stem, 0.09), *curls, *leaves, *rings)


@functools.cache
def scales() -> Motif:
    """Overlapping arcs, as waves are drawn in East Asia."""
    return tuple(Stroke(arc(x, y, r, np.pi, 2 * np.pi, 9), 0.13) for x, y in ((-1, 1.0), (1, 1.0), (0, 0.35))
                 for r in (0.9, 0.5))  # fmt: skip


@functools.cache
def flared_cross() -> Motif:
    """A cross with widening arms, the lower one longer."""
    upper, lower = points((0, 0), (-0.24, -0.9), (0.24, -0.9)), points((0, 0), (-0.32, 1.1), (0.32, 1.1))
    arms = [upper, lower, *both(points((0, 0), (0.8, -0.24), (0.8, 0.24)))]
    return (*(Stroke(arm) for arm in arms), Stroke(ellipse(0, 0, 0.16, 0.16)))


@functools.cache
def knot() -> Motif:
    """An endless knot of two interlaced loops in a ring."""
    loops = polar(lambda a: 0.62 + 0.25 * np.cos(4 * a), 64)
    turned = polar(lambda a: 0.62 - 0.25 * np.cos(4 * a), 64)
    return (Stroke(loops, 0.13, closed=True), Stroke(turned, 0.13, 1, closed=True),
            Stroke(ellipse(0, 0, 0.95, 0.95), 0.1, closed=True))  # fmt: skip


@functools.cache
def mask() -> Motif:
    """The two-eyed beast mask (taotie) of Chinese bronzes."""
    half = (Stroke(spiral(0.62, -0.5, 0.42, 2.6, 1.5), 0.17), Stroke(ellipse(0.42, 0.02, 0.17, 0.13)),
            Stroke(spline([(0.12, -0.85), (0.2, -0.3), (0.1, 0.3), (0.3, 0.62)]), 0.15),
            Stroke(spiral(0.68, 0.55, 0.34, 3.4, -1.3), 0.15))  # fmt: skip
    return (*half, *flipped(half), Stroke(points((0, -0.9), (0, 0.9)), 0.12))
