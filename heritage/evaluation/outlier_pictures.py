"""Pictures made by code that no network of artefacts was trained on: noise, drawings, everyday pictures.

They are made in memory, the same on every machine, and need no network connection.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from heritage.core.image_io import Pixels
from heritage.demo.drawing.artefact import draw_artefact
from heritage.demo.drawing.catalogue import KINDS

_SIDE = 320
_EACH = 48  # pictures of a kind
_PARTS = 12  # cut from each photograph
_SEED = 20_260_131


@dataclass(frozen=True)
class PictureSet:
    """Pictures of one kind.

    Attributes:
        key: Name in ``metrics.json``.
        name: Name in reports.
        pictures: RGB, each (H, W, 3).
        groups: What each is a part of: those of one group are not independent.
    """

    key: str
    name: str
    pictures: list[Pixels]
    groups: list[str]


def picture_sets() -> list[PictureSet]:
    """Return the sets of pictures: the drawn demo set, noise, drawn scenes and two photographs."""
    return [_drawings(), _noise(), _scenes(), _photographs()]


def _drawings() -> PictureSet:
    classes = list(KINDS)
    pictures = [
        draw_artefact(classes[k % len(classes)], k // len(classes), 0, size=_SIDE // 2, seed=1)
        for k in range(_EACH)
    ]
    return PictureSet("demo", "drawings of the demo set", pictures, [str(k) for k in range(_EACH)])


def _noise() -> PictureSet:
    """Noise of every coarseness, from single pixels to blotches, grey and in colour."""
    rng = np.random.default_rng(_SEED)
    pictures = []
    for k in range(_EACH):
        side = (4, 16, 64, _SIDE)[k % 4]
        noise = rng.integers(0, 256, (side, side, 1 if k % 8 < 4 else 3), dtype=np.uint8)
        noise = np.broadcast_to(noise, (side, side, 3)).copy()
        pictures.append(cv2.resize(noise, (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC).astype(np.uint8))
    return PictureSet("noise", "noise", pictures, [str(k) for k in range(_EACH)])


def _scenes() -> PictureSet:
    """Pages of text, charts and landscapes, as people upload them by mistake."""
    rng = np.random.default_rng(_SEED + 1)
    kinds: tuple[Callable[[np.random.Generator], Pixels], ...] = (_page, _chart, _landscape)
    pictures = [kinds[k % len(kinds)](rng) for k in range(_EACH)]
    return PictureSet("scenes", "pages, charts and landscapes", pictures, [str(k) for k in range(_EACH)])


def _page(rng: np.random.Generator) -> Pixels:
    page = np.full((_SIDE, _SIDE, 3), rng.integers(225, 256), dtype=np.uint8)
    letters = np.array(list("aeinorstlmcd"))
    for y in range(24, _SIDE - 10, int(rng.integers(12, 20))):
        line = " ".join("".join(rng.choice(letters, int(rng.integers(2, 9)))) for _ in range(8))
        cv2.putText(page, line, (16, y), cv2.FONT_HERSHEY_COMPLEX_SMALL, 0.6, (30, 30, 30), 1, cv2.LINE_AA)
    return page


def _chart(rng: np.random.Generator) -> Pixels:
    chart = np.full((_SIDE, _SIDE, 3), 250, dtype=np.uint8)
    cv2.line(chart, (30, 20), (30, 290), (0, 0, 0), 2)
    cv2.line(chart, (30, 290), (300, 290), (0, 0, 0), 2)
    for x in range(40, 290, 28):
        top, colour = int(rng.integers(40, 280)), [int(one) for one in rng.integers(30, 220, 3)]
        cv2.rectangle(chart, (x, top), (x + 18, 288), colour, -1)
    return chart


def _landscape(rng: np.random.Generator) -> Pixels:
    rows = np.linspace(0, 1, _SIDE)[:, None, None]
    sky = np.array([90, 150, 230]) * (1 - rows) + np.array([220, 230, 245]) * rows
    picture = np.broadcast_to(sky, (_SIDE, _SIDE, 3)).copy()
    columns = np.arange(_SIDE)
    for base, colour in ((0.5, (110, 130, 150)), (0.65, (70, 120, 70)), (0.8, (50, 90, 40))):
        waves = sum(
            np.sin(columns / rng.uniform(12, 60) + rng.uniform(0, 6)) * rng.uniform(4, 16) for _ in range(3)
        )
        picture[np.arange(_SIDE)[:, None] > base * _SIDE + waves] = colour
    return np.clip(picture + rng.normal(0, 6, picture.shape), 0, 255).astype(np.uint8)


def _photographs() -> PictureSet:
    """Parts of the two photographs that scikit-learn brings: a temple's roof before the sky, and a flower."""
    from sklearn.datasets import load_sample_images

    rng = np.random.default_rng(_SEED + 2)
    pictures, groups = [], []
    for number, whole in enumerate(load_sample_images().images):
        pictures.append(whole)
        groups.append(str(number))
        for _ in range(_PARTS - 1):
            side = int(rng.integers(160, min(whole.shape[:2])))
            y, x = (int(rng.integers(0, length - side + 1)) for length in whole.shape[:2])
            pictures.append(whole[y : y + side, x : x + side].copy())
            groups.append(str(number))
    return PictureSet("photographs", "parts of two everyday photographs", pictures, groups)
