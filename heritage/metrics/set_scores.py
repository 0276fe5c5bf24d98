"""Measured coverage and size of prediction sets, with intervals over groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from heritage.metrics.bootstrap import FEW_GROUPS, Interval, group_codes, interval, resampled_sums
from heritage.metrics.prediction_sets import Floats, Members, Targets, group_weights


@dataclass(frozen=True, slots=True)
class SetScore:
    """Measured coverage and size of prediction sets; each group counts once.

    Attributes:
        coverage: Share of sets that contain the true class.
        coverage_interval: Its 95 % interval over resamples of groups; NaN for too few groups.
        size: Mean number of classes in a set.
        size_interval: Its interval.
        groups: Number of groups.
    """

    coverage: float
    coverage_interval: Interval
    size: float
    size_interval: Interval
    groups: int


def set_scores(
    inside: Members, targets: Targets, groups: Sequence[str], *, resamples: int, seed: int
) -> tuple[SetScore, list[SetScore]]:
    """Measure sets overall and for the images of each class.

    Args:
        inside: Which classes are in the set of each image, (N, K).
        targets: Shape (N,).
        groups: The group of each image, length N.
        resamples: Number of resamples of groups.
        seed: Random seed of the resamples.
    """
    codes = group_codes(groups)
    covered = inside[np.arange(len(targets)), targets].astype(np.float64)
    sizes = inside.sum(axis=1).astype(np.float64)
    overall = _score(covered, sizes, codes, resamples, seed)
    by_class = []
    for k in range(inside.shape[1]):
        part = targets == k
        by_class.append(_score(covered[part], sizes[part], codes[part], resamples, seed))
    return overall, by_class


def _score(
    covered: Floats, sizes: Floats, codes: npt.NDArray[np.int64], resamples: int, seed: int
) -> SetScore:
    nothing = Interval(float("nan"), float("nan"))
    if not len(codes):
        return SetScore(float("nan"), nothing, float("nan"), nothing, 0)
    weights = group_weights(codes)
    terms = np.column_stack([weights * covered, weights * sizes, weights])
    coverage, size, count = terms.sum(axis=0)
    if round(count) < FEW_GROUPS:
        return SetScore(float(coverage / count), nothing, float(size / count), nothing, round(count))
    _, own = np.unique(codes, return_inverse=True)
    sums = resampled_sums(terms, own, resamples, seed)
    return SetScore(
        float(coverage / count), interval(sums[:, 0] / sums[:, 2]),
        float(size / count), interval(sums[:, 1] / sums[:, 2]), round(count),
    )  # fmt: skip
