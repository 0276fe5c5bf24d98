"""Prediction sets with a promised coverage: split conformal prediction, calibrated over groups.

A set contains every class whose probability is at least a threshold t, and the most probable class: the score
of LAC (Sadinle, Lei and Wasserman, JASA 2019), which gives the smallest sets of a coverage on average and
needs no random numbers, so one photograph always gets one set.

Photographs of one object are not exchangeable with those of others, objects are. So the threshold is that of
hierarchical conformal prediction (Lee, Barber and Willett 2023; Dunn, Wasserman and Ramdas, JASA 2023, for
the same setting): each of G groups has weight 1 / (G + 1), spread evenly over its images, and the remaining
1 / (G + 1) belongs to the new one. For an image of a new group, the set contains the true class with a
probability of at least the coverage, on average over calibration sets and new groups.

With one threshold for each class (Vovk 2013), the promise holds for the objects of each class separately.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Targets = npt.NDArray[np.int64]
Members = npt.NDArray[np.bool_]

LOWEST, HIGHEST = 50, 99
"""Coverages in percent for which thresholds are stored."""

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class PredictionSets:
    """Thresholds of prediction sets, fitted on images that the network was not trained on.

    Attributes:
        groups: Number of groups that they were fitted on, G.
        class_groups: Groups of each class, K numbers.
        thresholds: Lowest probability of a class in a set, for each coverage from 50 to 99 percent; None
            where the groups are too few for the coverage.
        class_thresholds: The same for each class, fitted on its own groups.
    """

    groups: int
    class_groups: tuple[int, ...]
    thresholds: tuple[float | None, ...]
    class_thresholds: tuple[tuple[float | None, ...], ...]

    def of(self, coverage: float, *, by_class: bool) -> tuple[float | None, ...]:
        """Return the threshold of each class, K numbers; None where the groups are too few.

        Args:
            coverage: From 0.5 to 0.99; rounded up to a whole percent.
            by_class: Whether the coverage is promised for each class.
        """
        place = percentage(coverage) - LOWEST
        if by_class:
            return tuple(thresholds[place] for thresholds in self.class_thresholds)
        return (self.thresholds[place],) * len(self.class_groups)

    def fault(self, coverage: float, classes: Sequence[str], *, by_class: bool) -> str | None:
        """Return why the groups are too few for a coverage, in a sentence; None if they suffice."""
        needed = groups_needed(coverage)
        if not by_class:
            counts = f"{self.groups} groups" if self.groups < needed else ""
        else:
            few = zip(classes, self.class_groups, strict=True)
            counts = ", ".join(f"{name} {count}" for name, count in few if count < needed)
        if not counts:
            return None
        whose = " of each class" if by_class else ""
        return (
            f"No prediction sets: a coverage of {percentage(coverage)} % needs validation images of at least "
            f"{needed} groups{whose} (there are: {counts})."
        )


def percentage(coverage: float) -> int:
    """Return a coverage in whole percent, rounded up, between 50 and 99."""
    return min(max(math.ceil(100 * coverage - _ROUNDING), LOWEST), HIGHEST)


def groups_needed(coverage: float) -> int:
    """Return the number of groups from which a coverage can be promised: G / (G + 1) must reach it."""
    share = percentage(coverage)
    return math.ceil(share / (100 - share))


@dataclass(frozen=True, slots=True)
class SetRule:
    """Which classes are in a prediction set.

    Attributes:
        coverage: The promised coverage, in whole per cent.
        thresholds: Lowest probability of each class in a set, length K; None if there are no sets.
        fault: Why there are none, in a sentence.
    """

    coverage: float
    thresholds: tuple[float, ...] | None
    fault: str | None = None


def set_rule(
    sets: PredictionSets | None, coverage: float, classes: Sequence[str], *, by_class: bool
) -> SetRule:
    """Return the rule for a coverage, or why there is none.

    Args:
        sets: The fitted thresholds; None if there are none.
        coverage: The promised coverage, from 0.5 to 0.99; rounded up to a whole per cent.
        classes: The class list, length K.
        by_class: Whether the coverage is promised for each class.
    """
    coverage = percentage(coverage) / 100
    if sets is None or len(sets.class_groups) != len(classes):
        return SetRule(coverage, None, "No prediction sets: none were fitted; heritage evaluate fits them.")
    thresholds = sets.of(coverage, by_class=by_class)
    known = [threshold for threshold in thresholds if threshold is not None]
    if len(known) < len(thresholds):
        return SetRule(coverage, None, sets.fault(coverage, classes, by_class=by_class))
    return SetRule(coverage, tuple(known))


def fit_prediction_sets(probabilities: Floats, targets: Targets, groups: Sequence[str]) -> PredictionSets:
    """Fit the thresholds of all coverages.

    Args:
        probabilities: Shape (N, K), of images that the network was not trained on.
        targets: Shape (N,).
        groups: The group of each image, length N.
    """
    own = probabilities[np.arange(len(targets)), targets]
    codes = np.unique(np.asarray(groups, dtype=object).astype(str), return_inverse=True)[1]
    parts = [targets == k for k in range(probabilities.shape[1])]
    return PredictionSets(
        groups=len(set(codes.tolist())),
        class_groups=tuple(len(set(codes[part].tolist())) for part in parts),
        thresholds=_thresholds(own, codes),
        class_thresholds=tuple(_thresholds(own[part], codes[part]) for part in parts),
    )


def _thresholds(own: Floats, codes: npt.NDArray[np.int64]) -> tuple[float | None, ...]:
    """Return the threshold of each coverage for probabilities of true classes (N,) in groups (N,)."""
    weights = group_weights(codes)
    order = np.argsort(-own, kind="stable")
    count = len(set(codes.tolist()))
    reached = np.cumsum(weights[order]) / (count + 1)
    found: list[float | None] = []
    for level in range(LOWEST, HIGHEST + 1):
        enough = np.flatnonzero(reached >= level / 100 - _ROUNDING)
        found.append(float(own[order[enough[0]]]) if len(enough) else None)
    return tuple(found)


def group_weights(codes: npt.NDArray[np.int64]) -> Floats:
    """Return weights (N,) with which each group counts once."""
    if not len(codes):
        return np.zeros(0)
    _, places, sizes = np.unique(codes, return_inverse=True, return_counts=True)
    weights: Floats = 1 / sizes[places]
    return weights


def members(probabilities: Floats, thresholds: Sequence[float]) -> Members:
    """Return which classes are in the set of each image, (N, K).

    Args:
        probabilities: Shape (N, K).
        thresholds: Of each class, length K.
    """
    inside: Members = probabilities >= np.asarray(thresholds, dtype=np.float64)
    inside[np.arange(len(inside)), probabilities.argmax(axis=1)] = True
    return inside
