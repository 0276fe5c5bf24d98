"""Scores that look at probabilities, not only at the first answer: top-k accuracy and AUROC."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Targets = npt.NDArray[np.int64]


def in_top(probabilities: Floats, targets: Targets, k: int) -> npt.NDArray[np.bool_]:
    """Return whether the truth is among the k likeliest classes, shape (N,).

    Of equally likely classes the later in the list counts as likelier, as in scikit-learn.
    """
    order = np.argsort(probabilities, axis=1, kind="stable")[:, ::-1][:, :k]
    found: npt.NDArray[np.bool_] = (order == targets[:, None]).any(axis=1)
    return found


class RankedClass:
    """One class against the rest, sorted once, so that its AUROC under any weights is a few sums.

    The area under the ROC curve is the chance that an image of the class gets a higher probability for it
    than an image of another one; ties count half (Hanley and McNeil 1982).

    Args:
        scores: The probability of this class for each image, (N,).
        positive: Whether the image is of this class, (N,).
    """

    def __init__(self, scores: Floats, positive: npt.NDArray[np.bool_]) -> None:
        order = np.argsort(scores, kind="stable")
        ranked = scores[order]
        first = np.searchsorted(ranked, ranked, side="left")
        last = np.searchsorted(ranked, ranked, side="right")
        mine = positive[order]
        self._positives, self._negatives = order[mine], order[~mine]
        # how many negatives stand below each positive, and how many up to and with it
        below = np.concatenate([[0], np.cumsum(~mine)])
        self._below, self._upto = below[first[mine]], below[last[mine]]

    def auroc(self, weights: Floats) -> float:
        """Return the area when image n counts ``weights[n]`` times; NaN where a side is empty."""
        ours, theirs = weights[self._positives], weights[self._negatives]
        sums = np.concatenate([[0.0], np.cumsum(theirs)])
        area = float(ours @ (sums[self._below] + sums[self._upto])) / 2
        both = float(ours.sum()) * float(sums[-1])
        return area / both if both > 0 else float("nan")


def auroc(probabilities: Floats, targets: Targets) -> Floats:
    """Return each class's AUROC against the rest, (K,); NaN for a class with no image, or with all."""
    ones = np.ones(len(targets))
    return np.array(
        [RankedClass(column, targets == k).auroc(ones) for k, column in enumerate(probabilities.T)]
    )
