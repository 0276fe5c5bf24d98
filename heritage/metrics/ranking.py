"""Metrics of the ranking of classes and images by probability: top-k accuracy and AUROC."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Targets = npt.NDArray[np.int64]


def in_top(probabilities: Floats, targets: Targets, k: int) -> npt.NDArray[np.bool_]:
    """Return whether the target is among the k most probable classes, (N,).

    Of equally probable classes the later one in the class list ranks first, as in scikit-learn.
    """
    order = np.argsort(probabilities, axis=1, kind="stable")[:, ::-1][:, :k]
    hits: npt.NDArray[np.bool_] = (order == targets[:, None]).any(axis=1)
    return hits


class RankedClass:
    """The AUROC of one class against the rest, for many weightings of the images.

    Images are sorted once; the AUROC under given weights is then a few sums. It is the probability that an
    image of the class has a higher score than an image of another class; ties count half (Hanley and McNeil
    1982).

    Args:
        scores: The probability of this class for each image, (N,).
        positive: Whether the image is of this class, (N,).
    """

    def __init__(self, scores: Floats, positive: npt.NDArray[np.bool_]) -> None:
        order = np.argsort(scores, kind="stable")
        ranked = scores[order]
        first = np.searchsorted(ranked, ranked, side="left")
        last = np.searchsorted(ranked, ranked, side="right")
        is_positive = positive[order]
        self._positives, self._negatives = order[is_positive], order[~is_positive]
        # the number of negatives with a lower score than each positive, and with an equal or lower one
        below = np.concatenate([[0], np.cumsum(~is_positive)])
        self._below, self._up_to = below[first[is_positive]], below[last[is_positive]]

    def auroc(self, weights: Floats) -> float:
        """Return the AUROC when image n counts ``weights[n]`` times; NaN without positives or negatives."""
        positives, negatives = weights[self._positives], weights[self._negatives]
        sums = np.concatenate([[0.0], np.cumsum(negatives)])
        ordered = float(positives @ (sums[self._below] + sums[self._up_to])) / 2
        pairs = float(positives.sum()) * float(sums[-1])
        return ordered / pairs if pairs > 0 else float("nan")


def auroc(probabilities: Floats, targets: Targets) -> Floats:
    """Return the AUROC of each class against the rest, (K,); NaN for a class with no or all images."""
    ones = np.ones(len(targets))
    return np.array(
        [RankedClass(column, targets == k).auroc(ones) for k, column in enumerate(probabilities.T)]
    )
