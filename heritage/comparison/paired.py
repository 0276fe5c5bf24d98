"""Paired tests of two settings on one test set.

McNemar's exact test compares how often only one of two networks is correct (McNemar 1947). It assumes
independent images, which several views of one object are not; the paired bootstrap draws groups, so its
interval is the one to rely on. For many comparisons p is corrected by Holm's step-down method (Scandinavian
Journal of Statistics 1979), which keeps the probability of any false positive below 5 %.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array  # type: ignore[import-untyped]
from scipy.stats import binomtest  # type: ignore[import-untyped]

from heritage.metrics.bootstrap import (
    Interval,
    confusion_terms,
    draws,
    group_codes,
    group_sums,
    interval,
)
from heritage.metrics.classification import ConfusionScores
from heritage.metrics.registry import (
    METRICS,
    AurocMetric,
    Metric,
    compute_metrics,
    headline_metrics,
    image_terms,
)
from heritage.runs.read_predictions import FinishedRun

Floats = npt.NDArray[np.float64]

LEVEL = 0.05
DECISIVE = "macro_f1"
"""The metric that settings are ordered and tested by."""
_RESOLUTION = 4  # the smallest corrected p is the level divided by it


def compared_metrics() -> list[Metric]:
    """Return the metrics in the tables of a comparison: headline metrics that are quick to resample."""
    return [metric for metric in headline_metrics(METRICS.values()) if not isinstance(metric, AurocMetric)]


@dataclass(frozen=True, slots=True)
class Change:
    """A difference in a metric, with its 95 % interval over resamples of groups."""

    value: float
    interval: Interval

    @property
    def significant(self) -> bool:
        """Whether the interval excludes 0."""
        return self.interval.low > 0 or self.interval.high < 0


@dataclass(frozen=True, slots=True)
class Difference:
    """Comparison of two settings.

    Attributes:
        first: Index of the first setting.
        second: Index of the second setting.
        changes: First minus second in each of `compared_metrics`, by name.
        only_first: Images that only the first predicts correctly.
        only_second: Images that only the second predicts correctly.
        mcnemar: p of McNemar's exact test, uncorrected.
        p: p of the paired bootstrap of macro-F1 after Holm's correction for all pairs.
    """

    first: int
    second: int
    changes: Mapping[str, Change]
    only_first: int
    only_second: int
    mcnemar: float
    p: float

    @property
    def significant(self) -> bool:
        """Whether p is below `LEVEL`."""
        return self.p < LEVEL


def mcnemar(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> tuple[int, int, float]:
    """Return the numbers of images that only one network predicts correctly, first and second, and p.

    Args:
        first: Whether each prediction of the first network is correct, (N,).
        second: The same for the second network.
    """
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    if only_first + only_second == 0:
        return 0, 0, 1.0
    return only_first, only_second, float(binomtest(only_first, only_first + only_second).pvalue)


def holm(p: Sequence[float]) -> list[float]:
    """Return p values corrected for multiple comparisons (Holm 1979)."""
    order = np.argsort(np.asarray(p), kind="stable")
    corrected = np.empty(len(p))
    running = 0.0
    for rank, index in enumerate(order.tolist()):
        running = max(running, min(1.0, (len(p) - rank) * p[index]))
        corrected[index] = running
    return [float(value) for value in corrected]


def required_resamples(minimum: int, settings: int) -> int:
    """Return a number of resamples with which every pair of settings can differ significantly.

    The smallest p of R resamples is 2 / (R + 1), and Holm's correction multiplies it by the number of pairs:
    with 1,000 resamples no difference among eight settings could be significant.

    Args:
        minimum: The least number to return.
        settings: Number of settings.
    """
    pairs = settings * (settings - 1) // 2
    return max(minimum, math.ceil(_RESOLUTION * 2 * pairs / LEVEL))


def resampled_scores(runs: Sequence[FinishedRun], resamples: int, seed: int) -> Iterator[dict[str, Floats]]:
    """Yield the scores of each run on the same resamples of groups, each (R,), by name.

    Args:
        runs: Runs with one test set.
        resamples: Number of resamples, R.
        seed: Random seed of the draws.
    """
    codes, classes = group_codes(runs[0].groups), len(runs[0].classes)
    cells = [group_sums(confusion_terms(run.targets, run.predicted, classes), codes) for run in runs]
    # a group is in few cells of the matrices
    sparse = csr_array(np.concatenate(cells, axis=1).T)
    terms = np.concatenate(
        [group_sums(image_terms(run.probabilities, run.targets), codes) for run in runs], axis=1
    )
    confusions = np.empty((resamples, sparse.shape[0]), dtype=np.int32)
    means = np.empty((resamples, terms.shape[1]))
    start = 0
    for counts in draws(sparse.shape[1], resamples, seed):
        rows = slice(start, start + len(counts))
        confusions[rows] = (sparse @ counts.T).T
        means[rows] = counts @ terms
        start += len(counts)
    by_run = zip(
        runs,
        confusions.reshape(resamples, len(runs), classes, classes).swapaxes(0, 1),
        means.reshape(resamples, len(runs), -1).swapaxes(0, 1),
        strict=True,
    )
    for run, confusion, sums in by_run:
        yield _scores(run.classes, confusion.astype(np.float64), sums)


def run_scores(run: FinishedRun) -> dict[str, float]:
    """Return the scores of a run on its whole test set, by the names of `resampled_scores`."""
    sums = image_terms(run.probabilities, run.targets).sum(axis=0)[None]
    scores = _scores(run.classes, run.confusion.counts[None].astype(np.float64), sums)
    return {name: float(values[0]) for name, values in scores.items()}


def _scores(classes: Sequence[str], confusions: Floats, image_sums: Floats) -> dict[str, Floats]:
    """Return metrics, averages and scores of classes (``recall/<class>``), each (R,)."""
    scores = ConfusionScores(confusions)
    of_classes = {
        f"{measure}/{name}": values[:, k]
        for measure, values in scores.by_class.items()
        for k, name in enumerate(classes)
    }
    means = image_sums / scores.images[:, None]
    return scores.averages() | compute_metrics(scores, means) | of_classes


def mean_scores(scores: Sequence[Mapping[str, Floats]]) -> dict[str, Floats]:
    """Return the means over runs of their resampled scores."""
    return {name: np.mean([one[name] for one in scores], axis=0) for name in scores[0]}


def bootstrap_p(differences: Floats) -> float:
    """Return the two-sided p of resampled differences (R,) against zero."""
    known = differences[~np.isnan(differences)]
    beyond = min(int((known <= 0).sum()), int((known >= 0).sum()))
    return min(1.0, 2 * (beyond + 1) / (len(known) + 1))


def differences(
    settings: Sequence[Sequence[FinishedRun]],
    resampled: Sequence[Mapping[str, Floats]],
    points: Sequence[Mapping[str, float]],
) -> list[Difference]:
    """Compare each pair of settings.

    Args:
        settings: The runs of each setting, which differ by the seed only.
        resampled: Scores of each setting on the same resamples, each (R,), by name.
        points: Scores of each setting on the whole test set, by name.
    """
    pairs = list(combinations(range(len(settings)), 2))
    uncorrected = [bootstrap_p(resampled[i][DECISIVE] - resampled[j][DECISIVE]) for i, j in pairs]
    results = []
    for (i, j), p in zip(pairs, holm(uncorrected), strict=True):
        only_first, only_second, exact = mcnemar(settings[i][0].correct, settings[j][0].correct)
        changes = {
            metric.name: Change(
                points[i][metric.name] - points[j][metric.name],
                interval(resampled[i][metric.name] - resampled[j][metric.name]),
            )
            for metric in compared_metrics()
        }
        results.append(
            Difference(
                first=i,
                second=j,
                changes=changes,
                only_first=only_first,
                only_second=only_second,
                mcnemar=exact,
                p=p,
            )
        )
    return results
