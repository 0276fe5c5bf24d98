"""Accuracy on test sets of other class frequencies: from a forward long tail over uniform to a backward one.

As test-agnostic long-tail recognition reports (Zhang et al., "Self-Supervised Aggregation of Diverse Experts
for Test-Agnostic Long-Tailed Recognition", NeurIPS 2022). Instead of drawing test images, all are used,
weighted to the class frequencies of each row; accuracy is then the mean of recalls with these frequencies as
weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from heritage.metrics.bootstrap import Interval, group_codes, interval, resampled_sums
from heritage.metrics.calibration import Floats, Targets
from heritage.metrics.prior import class_shares, estimate_prior, reweighted


@dataclass(frozen=True, slots=True)
class WeightedAccuracy:
    """An accuracy with its interval over groups."""

    value: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class TailRow:
    """The accuracies under one prior.

    Attributes:
        name: ``forward50``, ``uniform``, ``backward2``, …
        shares: Its class frequencies, (K,).
        plain: Accuracy of the predictions as they are.
        known: Accuracy of predictions under this prior.
        estimated: Accuracy of predictions under the prior that is estimated from the images without labels.
    """

    name: str
    shares: Floats
    plain: WeightedAccuracy
    known: WeightedAccuracy
    estimated: WeightedAccuracy

    def record(self, classes: Sequence[str]) -> dict[str, Any]:
        """Return plain data for ``metrics.json``."""
        accuracies = {"plain": self.plain, "known": self.known, "estimated": self.estimated}
        return {
            "shares": dict(zip(classes, self.shares.tolist(), strict=True)),
            **{
                name: {"accuracy": one.value, "interval": [one.interval.low, one.interval.high]}
                for name, one in accuracies.items()
            },
        }


def tail_priors(frequencies: Floats, ratios: Sequence[int]) -> dict[str, Floats]:
    """Return the priors of the table, from the longest forward tail to the longest backward one.

    The classes' shares fall geometrically, from the most frequent class to the rarest by a factor of the
    ratio; in a backward tail they rise.

    Args:
        frequencies: The frequencies that order the classes, (K,).
        ratios: Shares of the first class to that of the last, above 1.
    """
    count = len(frequencies)
    rank = np.empty(count)
    rank[np.argsort(-frequencies, kind="stable")] = np.arange(count) / max(count - 1, 1)
    largest_first = sorted(set(ratios), reverse=True)
    priors = {f"forward{ratio}": float(ratio) ** -rank for ratio in largest_first}
    priors["uniform"] = np.ones(count)
    priors |= {f"backward{ratio}": float(ratio) ** rank for ratio in reversed(largest_first)}
    return {name: shares / shares.sum() for name, shares in priors.items()}


def long_tails(
    probabilities: Floats,
    shifted: Floats,
    targets: Targets,
    groups: Sequence[str],
    source: Floats,
    *,
    ratios: Sequence[int],
    resamples: int,
    seed: int = 0,
) -> list[TailRow]:
    """Return the table of accuracies.

    Args:
        probabilities: Of the test images as they are predicted, (N, K).
        shifted: The probabilities for prior ``source``, (N, K).
        targets: Shape (N,).
        groups: The group of each image, length N.
        source: The prior of ``shifted``, all above 0, (K,).
        ratios: Of the tails, above 1.
        resamples: Resamples of groups for the intervals; the estimated priors are those of all images.
        seed: Random seed of the resamples.
    """
    present = class_shares(targets, len(source))
    codes = group_codes(groups)
    rows = []
    for name, shares in tail_priors(source, ratios).items():
        weights = (shares / np.maximum(present, 1e-300))[targets]
        estimate = estimate_prior(shifted, source, weights)
        predictions = (
            probabilities.argmax(axis=1),
            reweighted(shifted, shares / source).argmax(axis=1),
            reweighted(shifted, estimate / source).argmax(axis=1),
        )
        accuracies = [
            _accuracy(predicted == targets, targets, codes, shares, resamples, seed)
            for predicted in predictions
        ]
        rows.append(TailRow(name, shares, *accuracies))
    return rows


def _accuracy(
    correct: npt.NDArray[np.bool_],
    targets: Targets,
    codes: npt.NDArray[np.int64],
    shares: Floats,
    resamples: int,
    seed: int,
) -> WeightedAccuracy:
    terms = np.zeros((len(targets), 2 * len(shares)))
    images = np.arange(len(targets))
    terms[images, targets] = correct
    terms[images, len(shares) + targets] = 1
    whole = _weighted_recall(terms.sum(axis=0, keepdims=True), shares)
    resampled = _weighted_recall(resampled_sums(terms, codes, resamples, seed), shares)
    return WeightedAccuracy(float(whole[0]), interval(resampled))


def _weighted_recall(sums: Floats, shares: Floats) -> Floats:
    """Return the weighted mean recall of the classes that have images, (R,)."""
    correct, images = sums[:, : len(shares)], sums[:, len(shares) :]
    weights = np.where(images > 0, shares, 0)
    means: Floats = (weights * correct / np.maximum(images, 1)).sum(axis=1) / weights.sum(axis=1)
    return means
