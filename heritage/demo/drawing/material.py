"""Materials: clays, stones, glazes, metals and fibres, and their weathering.

Palettes overlap between classes on purpose: terracotta, buff clay, turquoise glaze, limestone, bronze and
gold occur in several, so that colour alone does not determine the class.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.random import Generator

from heritage.demo.drawing.canvas import Bytes, Floats, Ink


@dataclass(frozen=True, slots=True)
class Material:
    """A material.

    Attributes:
        ink: Colour, sRGB bytes.
        other: The other end of its range of colours.
        grain: Contrast of its mottling.
        rough: Height of its roughness, in thousandths of the frame.
        gloss: Strength of sharp reflections.
        satin: Strength of broad reflections.
        metal: Fraction of mirror-like reflection.
    """

    ink: Ink
    other: Ink
    grain: float = 0.15
    rough: float = 3.0
    gloss: float = 0.0
    satin: float = 0.05
    metal: float = 0.0

    def coloured(self, ink: Ink) -> Material:
        """Return the same material in another colour."""
        return replace(self, ink=ink, other=ink)


MATERIALS: dict[str, Material] = {
    "buff": Material((214, 184, 140), (196, 160, 118), 0.16, 3.5),
    "terracotta": Material((196, 112, 70), (172, 92, 62), 0.14, 3.0),
    "grey clay": Material((128, 118, 106), (160, 146, 128), 0.16, 3.5),
    "black gloss": Material((30, 26, 26), (44, 36, 34), 0.10, 1.5, 0.24, 0.10),
    "blue faience": Material((38, 128, 172), (60, 158, 190), 0.22, 3.5, 0.22, 0.10),
    "green faience": Material((92, 158, 132), (130, 172, 138), 0.22, 3.5, 0.16, 0.10),
    "turquoise glaze": Material((48, 150, 156), (30, 122, 140), 0.16, 1.5, 0.35, 0.08),
    "cobalt glaze": Material((32, 56, 132), (44, 78, 150), 0.16, 1.5, 0.35, 0.08),
    "white glaze": Material((232, 230, 222), (224, 216, 196), 0.06, 1.2, 0.36, 0.08),
    "porcelain": Material((228, 234, 236), (214, 224, 232), 0.03, 0.5, 0.45, 0.06),
    "celadon": Material((150, 174, 146), (128, 158, 136), 0.08, 1.0, 0.40, 0.08),
    "limestone": Material((212, 196, 166), (190, 172, 144), 0.14, 4.0),
    "alabaster": Material((230, 214, 182), (216, 194, 158), 0.10, 1.0, 0.05, 0.15),
    "sandstone": Material((190, 156, 116), (168, 134, 100), 0.18, 4.5),
    "marble": Material((226, 220, 208), (206, 198, 186), 0.10, 2.5, 0.0, 0.12),
    "basalt": Material((64, 62, 62), (88, 84, 80), 0.18, 2.5, 0.05, 0.15),
    "steatite": Material((150, 140, 112), (112, 104, 84), 0.18, 2.5, 0.03, 0.12),
    "lapis": Material((36, 56, 116), (52, 74, 132), 0.22, 1.5, 0.10, 0.15),
    "carnelian": Material((164, 62, 34), (186, 88, 46), 0.14, 1.0, 0.15, 0.15),
    "bronze": Material((110, 88, 56), (84, 92, 70), 0.22, 3.0, 0.0, 0.25, 0.5),
    "verdigris": Material((104, 126, 104), (84, 108, 92), 0.28, 4.0, 0.0, 0.10, 0.2),
    "gold": Material((214, 166, 66), (228, 186, 96), 0.06, 1.5, 0.0, 0.30, 0.85),
    "silver": Material((186, 184, 178), (150, 148, 142), 0.12, 1.5, 0.0, 0.30, 0.85),
    "wood": Material((136, 94, 58), (104, 70, 46), 0.14, 2.0, 0.06, 0.10),
    "linen": Material((210, 192, 156), (184, 160, 120), 0.16, 2.5, 0.0, 0.0),
    "papyrus": Material((206, 176, 120), (184, 148, 96), 0.18, 1.5, 0.0, 0.0),
    "paper": Material((232, 220, 192), (216, 198, 162), 0.10, 1.0, 0.0, 0.0),
}

INKS: dict[str, Ink] = {
    "black": (30, 26, 26),
    "brown": (84, 52, 34),
    "red": (160, 54, 38),
    "ochre": (200, 150, 72),
    "cream": (236, 224, 196),
    "white": (240, 238, 230),
    "blue": (38, 62, 136),
    "azure": (62, 118, 176),
    "turquoise": (58, 156, 160),
    "green": (66, 122, 82),
    "gold": (212, 168, 76),
    "purple": (92, 52, 74),
    "flesh": (206, 158, 118),
    "lustre": (158, 104, 44),
}


def mixed(one: Ink, two: Ink, weight: float) -> Ink:
    """Return a weighted mean of two colours; ``weight`` is that of the second."""
    r, g, b = (round(a + weight * (z - a)) for a, z in zip(one, two, strict=True))
    return r, g, b


def tint(rng: Generator, ink: Ink, spread: float = 9.0) -> Ink:
    """Return a random colour near ``ink``."""
    shift = rng.normal(0, spread) + rng.normal(0, spread * 0.5, 3)
    r, g, b = np.clip(np.add(ink, shift), 8, 250).astype(int).tolist()
    return r, g, b


def inks(rng: Generator, *names: str) -> list[Ink]:
    """Return random variants of the named inks."""
    return [tint(rng, INKS[name]) for name in names]


def ink_of(rng: Generator, *names: str) -> Ink:
    """Return a random variant of one of the named inks."""
    return tint(rng, INKS[names[rng.integers(len(names))]])


def pick(rng: Generator, *names: str) -> Material:
    """Return one of the named materials in a random colour of its range."""
    material = MATERIALS[names[rng.integers(len(names))]]
    return material.coloured(tint(rng, mixed(material.ink, material.other, rng.random()), 7.0))


def mottle(rng: Generator, shape: tuple[int, int], cells: tuple[int, ...] = (4, 16, 80)) -> Floats:
    """Return multi-scale noise, mean 0 and mostly within [-1, 1].

    The grids are drawn small and then enlarged, so that an object has the same stains at every size. They
    use a separate generator, so that later draws do not depend on the size.

    Args:
        rng: The generator.
        shape: Rows and columns of the result.
        cells: Grid cells from top to bottom, for each scale.
    """
    rows, columns = shape
    own = np.random.default_rng(rng.integers(1 << 62))
    total = np.zeros(shape, np.float32)
    for cell in cells:
        grid = own.random((cell, max(2, round(cell * columns / rows))), np.float32) - np.float32(0.5)
        total += cv2.resize(grid, (columns, rows), interpolation=cv2.INTER_LINEAR)
    return total * np.float32(2 / np.sqrt(len(cells)))


def tripled(field: Floats) -> Floats:
    """Repeat one channel: (H, W, 3). Broadcasting over a last axis of 3 in NumPy is four times slower."""
    return cv2.merge([field, field, field])


_SQUARES = ((np.arange(256) / 255) ** 2).astype(np.float32)


def painted_over(pixels: Bytes, opacity: Floats, ink: Ink) -> Bytes:
    """Blend a colour over pixels with an opacity (H, W)."""
    kept: Floats = pixels * tripled(1 - opacity)
    kept += cv2.merge([opacity * np.float32(channel) + np.float32(0.5) for channel in ink])
    covered: Bytes = kept.astype(np.uint8)
    return covered


def linear(pixels: Bytes) -> Floats:
    """Convert display values to linear light, by the square law."""
    return cv2.LUT(pixels, _SQUARES)


def weathered(rng: Generator, pixels: Bytes, grain: float, wear: float, beneath: Ink) -> Floats:
    """Convert a painted sheet to reflectance with mottling and worn paint.

    Args:
        rng: The object's generator.
        pixels: The painted sheet, (H, W, 3).
        grain: Contrast of the mottling.
        wear: Approximate fraction of the paint that is worn off.
        beneath: Colour below the paint.

    Returns:
        Linear reflectance, (H, W, 3).
    """
    colour = linear(pixels)
    shape = pixels.shape[:2]
    if wear > 0:
        bare = np.clip((mottle(rng, shape) - np.float32(0.95 - 1.3 * wear)) * 5, 0, 1)
        ground = np.square(np.asarray(beneath, np.float32) / 255)
        colour *= tripled(1 - bare)
        colour += cv2.merge([bare * channel for channel in ground])
    colour *= tripled(1 + np.float32(1.4 * grain) * mottle(rng, shape))
    return np.minimum(colour, 1, out=colour)


def crackle(rng: Generator, shape: tuple[int, int], cells: int) -> Floats:
    """Return a net of fine cracks (borders of Voronoi cells): 1 on a crack, 0 elsewhere."""
    seeds = np.full(shape, 255, np.uint8)
    spots = (rng.random((cells, 2)) * shape).astype(int)
    seeds[spots[:, 0], spots[:, 1]] = 0
    _, label = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    edge = np.zeros(shape, np.float32)
    edge[:, 1:] = label[:, 1:] != label[:, :-1]
    edge[1:] = np.maximum(edge[1:], label[1:] != label[:-1])
    return edge
