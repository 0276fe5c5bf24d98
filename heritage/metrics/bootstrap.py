"""How sure a score is: 95 % intervals by resampling groups.

Photographs of one object stand or fall together, so the bootstrap draws groups with replacement, not images
(the cluster bootstrap: Field and Welsh, JRSS B 2007). Everything that is a sum over images is summed once
for each group; a resample is then a row of counts, and a thousand of them one matrix product.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from heritage.metrics.calibration import brier_terms
from heritage.metrics.ranking import RankedClass, in_top

Floats = npt.NDArray[np.float64]
Targets = npt.NDArray[np.int64]

LEVEL = 0.95
_CHUNK = 64  # resamples at once: bounds the memory of their counts


@dataclass(frozen=True, slots=True)
class Interval:
    """A percentile interval; NaN where no resample has a value."""

    low: float
    high: float


@dataclass(frozen=True)
class Resampled:
    """Scores of each of R resamples; NaN where a resample has no image of a class.

    Attributes:
        single: Scores of the whole set by name, each (R,).
        classes: Scores of each class by name, each (R, K).
    """

    single: dict[str, Floats]
    classes: dict[str, Floats]

    def interval(self, name: str) -> Interval:
        """Return the interval of a score of the whole set."""
        return interval(self.single[name])

    def class_intervals(self, name: str) -> list[Interval]:
        """Return the interval of each class's score."""
        return [interval(column) for column in self.classes[name].T]


def interval(values: Floats, level: float = LEVEL) -> Interval:
    """Return the middle ``level`` of resampled values (R,)."""
    known = values[~np.isnan(values)]
    if not len(known):
        return Interval(float("nan"), float("nan"))
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def group_codes(groups: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return each image's group as a number from 0, (N,)."""
    _, codes = np.unique(np.asarray(groups, dtype=object).astype(str), return_inverse=True)
    return np.asarray(codes, dtype=np.int64)


def draws(groups: int, resamples: int, seed: int) -> Iterator[Floats]:
    """Yield how often each group is drawn, in blocks (C, G) that add up to ``resamples`` rows.

    The same arguments give the same draws: two networks on one test set are compared on the same resamples.
    """
    random = np.random.default_rng(seed)
    for start in range(0, resamples, _CHUNK):
        count = min(_CHUNK, resamples - start)
        drawn = random.integers(0, groups, size=(count, groups))
        drawn += np.arange(count)[:, None] * groups
        yield np.bincount(drawn.ravel(), minlength=count * groups).reshape(count, groups).astype(np.float64)


def resampled_sums(terms: Floats, codes: npt.NDArray[np.int64], resamples: int, seed: int) -> Floats:
    """Sum per-image terms (N, C) over each resample of groups, (R, C)."""
    sums = group_sums(terms, codes)
    return np.concatenate([counts @ sums for counts in draws(len(sums), resamples, seed)])


def group_sums(terms: Floats, codes: npt.NDArray[np.int64]) -> Floats:
    """Sum per-image terms (N, C) over each group, (G, C)."""
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    found: Floats = np.add.reduceat(terms[order], starts, axis=0)
    return found


def confusion_terms(targets: Targets, predicted: Targets, classes: int) -> Floats:
    """Return each image's cell of the confusion matrix as a row of zeros and a one, (N, K·K)."""
    terms = np.zeros((len(targets), classes * classes))
    terms[np.arange(len(targets)), targets * classes + predicted] = 1
    return terms


def bootstrap(
    targets: Targets, probabilities: Floats, groups: Sequence[str], *, resamples: int, seed: int = 0
) -> Resampled:
    """Score resamples of groups.

    Args:
        targets: Shape (N,).
        probabilities: Shape (N, K).
        groups: The group of each image, length N.
        resamples: How many, R.
        seed: Another seed draws others.
    """
    classes = probabilities.shape[1]
    codes = group_codes(groups)
    terms = np.column_stack(
        [
            confusion_terms(targets, probabilities.argmax(axis=1), classes),
            in_top(probabilities, targets, 2),
            brier_terms(probabilities, targets),
        ]
    )
    sums = group_sums(terms, codes)
    ranked = [RankedClass(column, targets == k) for k, column in enumerate(probabilities.T)]
    totals, areas = [], []
    for counts in draws(len(sums), resamples, seed):
        totals.append(counts @ sums)
        areas.append([[one.auroc(row[codes]) for one in ranked] for row in counts])
    total = np.concatenate(totals)
    cells = total[:, : classes**2].reshape(-1, classes, classes)
    single, by_class = confusion_scores(cells)
    images = cells.sum(axis=(1, 2))
    area = np.concatenate(areas)
    return Resampled(
        single
        | {
            "top2_accuracy": total[:, -2] / images,
            "brier": total[:, -1] / images,
            "macro_auroc": mean_of_known(area),
        },
        by_class | {"auroc": area},
    )


def confusion_scores(cells: Floats) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Score many confusion matrices (R, K, K) at once.

    The conventions are those of `heritage.metrics.classification`, except for a class that is missing from
    some of the resamples: there it is NaN and stays out of the averages. Balanced accuracy is the mean recall
    of the classes that have images, as in scikit-learn.

    Returns:
        Scores of the whole set, each (R,), and of each class, each (R, K).
    """
    right = np.einsum("rkk->rk", cells)
    support, named = cells.sum(axis=2), cells.sum(axis=1)
    known = np.where((support > 0) | (support.sum(axis=0) == 0), 1.0, np.nan)
    recall = right / np.maximum(support, 1) * known
    precision = right / np.maximum(named, 1) * known
    f1 = 2 * right / np.maximum(support + named, 1) * known
    images = support.sum(axis=1)
    single = {
        "accuracy": right.sum(axis=1) / images,
        "balanced_accuracy": mean_of_known(np.where(support > 0, recall, np.nan)),
        "macro_precision": mean_of_known(precision),
        "macro_recall": mean_of_known(recall),
        "macro_f1": mean_of_known(f1),
        "weighted_precision": np.nansum(precision * support, axis=1) / images,
        "weighted_recall": right.sum(axis=1) / images,
        "weighted_f1": np.nansum(f1 * support, axis=1) / images,
    }
    return single, {"precision": precision, "recall": recall, "f1": f1}


def mean_of_known(values: Floats) -> Floats:
    """Return the mean over the last axis without NaN; NaN where nothing is known."""
    known = ~np.isnan(values)
    count = known.sum(axis=-1)
    mean = np.where(known, values, 0).sum(axis=-1) / np.maximum(count, 1)
    return np.asarray(np.where(count > 0, mean, np.nan), dtype=np.float64)
