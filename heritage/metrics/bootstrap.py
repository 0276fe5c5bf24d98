"""95 % confidence intervals by the cluster bootstrap (Field and Welsh, JRSS B 2007).

Photographs of one object are not independent, so groups are drawn with replacement, not images. Everything
that is a sum over images is summed once for each group; the counts of R resamples times these sums are then
one matrix product.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from heritage.metrics.classification import ConfusionScores
from heritage.metrics.ranking import RankedClass
from heritage.metrics.registry import compute_metrics, image_terms

Floats = npt.NDArray[np.float64]
Targets = npt.NDArray[np.int64]

LEVEL = 0.95
_CHUNK = 64  # resamples at once: bounds the memory of their counts


FEW_GROUPS = 5
"""A class of fewer groups gets no interval: a bootstrap of so few groups is far too narrow."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A percentile interval; NaN if no resample has a value."""

    low: float
    high: float


@dataclass(frozen=True)
class Resampled:
    """Metrics of each of R resamples; NaN where a resample has no image of a class.

    Attributes:
        overall: Metrics of the whole set and averages over classes by name, each (R,).
        by_class: Precision, recall, F1 and AUROC of each class by name, each (R, K).
    """

    overall: dict[str, Floats]
    by_class: dict[str, Floats]

    def interval(self, name: str) -> Interval:
        """Return the interval of a metric of the whole set."""
        return interval(self.overall[name])

    def class_intervals(self, name: str) -> list[Interval]:
        """Return the interval of each class's score."""
        return [interval(column) for column in self.by_class[name].T]


def interval(values: Floats, level: float = LEVEL) -> Interval:
    """Return the percentile interval of resampled values (R,), which are NaN where undefined."""
    known = values[~np.isnan(values)]
    if not len(known):
        return Interval(float("nan"), float("nan"))
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def group_codes(groups: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return each image's group as an integer from 0 to G - 1, (N,)."""
    _, codes = np.unique(np.asarray(groups, dtype=object).astype(str), return_inverse=True)
    return np.asarray(codes, dtype=np.int64)


def draws(groups: int, resamples: int, seed: int) -> Iterator[Floats]:
    """Yield how often each group is drawn, in blocks (C, G) of ``resamples`` rows in total.

    Equal arguments give equal draws, so two networks on one test set are compared on the same resamples.
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
    sums: Floats = np.add.reduceat(terms[order], starts, axis=0)
    return sums


def confusion_terms(targets: Targets, predicted: Targets, classes: int) -> Floats:
    """Return each image's one-hot cell of the confusion matrix, (N, K·K)."""
    terms = np.zeros((len(targets), classes * classes))
    terms[np.arange(len(targets)), targets * classes + predicted] = 1
    return terms


def bootstrap(
    targets: Targets, probabilities: Floats, groups: Sequence[str], *, resamples: int, seed: int = 0
) -> Resampled:
    """Compute all metrics on resamples of groups.

    Args:
        targets: Shape (N,).
        probabilities: Shape (N, K).
        groups: The group of each image, length N.
        resamples: Number of resamples, R.
        seed: Random seed of the draws.
    """
    classes = probabilities.shape[1]
    codes = group_codes(groups)
    cells = confusion_terms(targets, probabilities.argmax(axis=1), classes)
    sums = group_sums(np.column_stack([cells, image_terms(probabilities, targets)]), codes)
    ranked = [RankedClass(column, targets == k) for k, column in enumerate(probabilities.T)]
    totals, areas = [], []
    for counts in draws(len(sums), resamples, seed):
        totals.append(counts @ sums)
        areas.append([[one.auroc(row[codes]) for one in ranked] for row in counts])
    total, area = np.concatenate(totals), np.concatenate(areas)
    scores = ConfusionScores(total[:, : classes**2].reshape(-1, classes, classes))
    means = total[:, classes**2 :] / scores.images[:, None]
    return Resampled(
        scores.averages() | compute_metrics(scores, means, area), scores.by_class | {"auroc": area}
    )
