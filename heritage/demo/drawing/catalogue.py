"""The kinds of object of each class, and the kind of an object."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from heritage.core.taxonomy import CLASSES
from heritage.demo.drawing import asian, byzantium, egyptian, grecoroman, islam, orient
from heritage.demo.drawing.kind import Kind

KINDS: dict[str, tuple[Kind, ...]] = {
    "egyptian": egyptian.KINDS,
    "grecoroman": grecoroman.KINDS,
    "orient": orient.KINDS,
    "islam": islam.KINDS,
    "byzantium": byzantium.KINDS,
    "asian": asian.KINDS,
}
"""Class → its kinds of object."""

_GOLDEN = (5**0.5 - 1) / 2
_PLASTIC = 0.754877666


@functools.cache
def _edges(class_name: str) -> npt.NDArray[np.float64]:
    edges = np.cumsum([kind.frequency for kind in KINDS[class_name]])
    return np.asarray(edges / edges[-1])


def kind_of(class_name: str, object_index: int, seed: int) -> Kind:
    """Return the kind of an object.

    Kinds follow a golden-ratio sequence, so that even few objects have the kinds in their frequencies.
    """
    start = (seed * _PLASTIC + 0.31 * CLASSES.index(class_name)) % 1.0
    place = (start + object_index * _GOLDEN) % 1.0
    return KINDS[class_name][int(np.searchsorted(_edges(class_name), place, side="right"))]
