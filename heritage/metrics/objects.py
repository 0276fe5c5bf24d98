"""Several photographs of one object: their predictions combined, and what that gains over single ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from heritage.metrics.bootstrap import Interval, confusion_terms, draws, group_codes, group_sums, interval
from heritage.metrics.classification import ConfusionScores
from heritage.metrics.registry import compute_metrics, confusion_metrics

Floats = npt.NDArray[np.float64]
Targets = npt.NDArray[np.int64]


def combined(probabilities: Sequence[Floats] | Floats) -> Floats:
    """Return the probabilities (K,) of an object from those of its photographs, (V, K): their mean.

    As the probabilities of several views and of several networks are combined.
    """
    mean: Floats = np.mean(probabilities, axis=0)
    return mean


@dataclass(frozen=True)
class Gain:
    """A metric of single photographs and of objects, on the same objects.

    Attributes:
        single: Of single photographs, weighted so that each object counts once.
        combined: Of objects, from all their photographs.
        difference: Combined minus single.
        interval: 95 % interval of the difference over resamples of groups.
    """

    single: float
    combined: float
    difference: float
    interval: Interval


@dataclass(frozen=True)
class ObjectScores:
    """What the photographs of objects gain together.

    Attributes:
        objects: Objects with several photographs of one class.
        images: Their photographs.
        groups: Their groups.
        mixed: Objects whose photographs have different classes, left out.
        gains: By name of the metric; empty without an object.
    """

    objects: int
    images: int
    groups: int
    mixed: tuple[str, ...]
    gains: dict[str, Gain]


def object_scores(
    probabilities: Floats,
    targets: Targets,
    objects: Sequence[str],
    groups: Sequence[str],
    *,
    resamples: int,
    seed: int,
) -> ObjectScores:
    """Compare predictions for objects with those for single photographs.

    Args:
        probabilities: Shape (N, K).
        targets: Shape (N,).
        objects: The object of each photograph, length N.
        groups: The group of each photograph, length N, which resamples draw: objects of one group are not
            independent.
        resamples: Number of resamples.
        seed: Their random seed.
    """
    classes = probabilities.shape[1]
    names, codes = np.unique(np.asarray(objects, dtype=object).astype(str), return_inverse=True)
    counts = np.bincount(codes)
    lowest, highest = np.full(len(names), classes), np.full(len(names), -1)
    np.minimum.at(lowest, codes, targets)
    np.maximum.at(highest, codes, targets)
    mixed = tuple(names[lowest != highest].tolist())
    kept = np.flatnonzero(((counts > 1) & (lowest == highest))[codes])
    if not len(kept):
        return ObjectScores(0, 0, 0, mixed, {})
    rows = group_codes([str(one) for one in codes[kept]])
    sizes = np.bincount(rows)
    means = group_sums(probabilities[kept], rows) / sizes[:, None]
    firsts = np.unique(rows, return_index=True)[1]
    single = confusion_terms(targets[kept], probabilities[kept].argmax(axis=1), classes)
    whole = confusion_terms(targets[kept][firsts], means.argmax(axis=1), classes)
    cells = np.column_stack([group_sums(single, rows) / sizes[:, None], whole])
    by_group = group_sums(cells, group_codes([groups[row] for row in kept[firsts].tolist()]))
    drawn = np.concatenate([one @ by_group for one in draws(len(by_group), resamples, seed)])
    value, spread = _differences(by_group.sum(axis=0)[None], classes), _differences(drawn, classes)
    gains = {}
    for name, (one, other) in value.items():
        bounds = interval(spread[name][1] - spread[name][0])
        gains[name] = Gain(float(one[0]), float(other[0]), float(other[0] - one[0]), bounds)
    return ObjectScores(len(sizes), len(kept), len(by_group), mixed, gains)


def _differences(cells: Floats, classes: int) -> dict[str, tuple[Floats, Floats]]:
    """Return each metric of single photographs and of objects from their cells (R, 2·K·K)."""
    one, other = (
        compute_metrics(ConfusionScores(part.reshape(-1, classes, classes)))
        for part in np.split(cells, 2, axis=1)
    )
    shown = [metric.name for metric in confusion_metrics() if metric.headline]
    return {name: (one[name], other[name]) for name in shown}
