"""Is one network better than another, or was it luck? Paired tests on one test set.

McNemar's exact test asks whether one of two networks is right more often where only one of them is
(McNemar 1947). It takes images as independent, which views of one object are not; the paired bootstrap draws
groups, so its interval is the one to believe. Many comparisons find something by chance: Holm's step-down
correction (Scandinavian Journal of Statistics 1979) holds the chance of a single false finding below 5 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array  # type: ignore[import-untyped]
from scipy.stats import binomtest  # type: ignore[import-untyped]

from heritage.metrics.bootstrap import (
    Interval,
    confusion_scores,
    confusion_terms,
    draws,
    group_codes,
    group_sums,
    interval,
)
from heritage.runs.finished import FinishedRun

Floats = npt.NDArray[np.float64]

LEVEL = 0.05
_FINER = 4  # the smallest p after correction is this part of the level


@dataclass(frozen=True, slots=True)
class Difference:
    """Two settings compared.

    Attributes:
        first: Position of the one.
        second: Position of the other.
        accuracy: By how much the first is better.
        accuracy_interval: 95 % of resamples of groups.
        macro_f1: The same in macro-F1.
        macro_f1_interval: The same.
        only_first: Images that only the first calls right.
        only_second: Images that only the second calls right.
        mcnemar: p of McNemar's exact test, uncorrected.
        p: p of the paired bootstrap of macro-F1, corrected for all comparisons by Holm's way.
    """

    first: int
    second: int
    accuracy: float
    accuracy_interval: Interval
    macro_f1: float
    macro_f1_interval: Interval
    only_first: int
    only_second: int
    mcnemar: float
    p: float

    @property
    def significant(self) -> bool:
        """Whether chance is an unlikely explanation."""
        return self.p < LEVEL


def mcnemar(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> tuple[int, int, float]:
    """Return how many images only the one and only the other calls right, and the exact two-sided p.

    Args:
        first: Whether each answer of the one is right, (N,).
        second: The same of the other.
    """
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    if only_first + only_second == 0:
        return 0, 0, 1.0
    return only_first, only_second, float(binomtest(only_first, only_first + only_second).pvalue)


def holm(p: Sequence[float]) -> list[float]:
    """Return p values corrected for their number (Holm 1979)."""
    order = np.argsort(np.asarray(p), kind="stable")
    corrected = np.empty(len(p))
    running = 0.0
    for rank, place in enumerate(order.tolist()):
        running = max(running, min(1.0, (len(p) - rank) * p[place]))
        corrected[place] = running
    return [float(value) for value in corrected]


def enough(wished: int, settings: int) -> int:
    """Return how many resamples it takes to tell each pair of settings apart.

    Of R resamples the smallest p is 2 / (R + 1), and Holm's correction multiplies it by the number of pairs:
    with a thousand resamples nothing could ever be found among eight settings or more.

    Args:
        wished: As many at least.
        settings: How many are compared.
    """
    pairs = settings * (settings - 1) // 2
    return max(wished, math.ceil(_FINER * 2 * pairs / LEVEL))


def resampled_confusions(runs: Sequence[FinishedRun], resamples: int, seed: int) -> npt.NDArray[np.int32]:
    """Return the confusion matrix of each of M runs on each resample of groups, (M, R, K, K)."""
    codes, classes = group_codes(runs[0].groups), len(runs[0].classes)
    sums = [group_sums(confusion_terms(run.targets, run.predicted, classes), codes) for run in runs]
    cells = csr_array(np.concatenate(sums, axis=1).T)  # a group is in few cells
    found = np.empty((resamples, cells.shape[0]), dtype=np.int32)
    start = 0
    for counts in draws(cells.shape[1], resamples, seed):
        found[start : start + len(counts)] = (cells @ counts.T).T
        start += len(counts)
    return found.reshape(resamples, len(runs), classes, classes).swapaxes(0, 1)


def resampled_scores(runs: Sequence[FinishedRun], confusions: npt.NDArray[np.int32]) -> dict[str, Floats]:
    """Return scores of the mean over runs on each resample of groups, each (R,), by name.

    Args:
        runs: M of them.
        confusions: Of `resampled_confusions`, (M, R, K, K).
    """
    classes = len(runs[0].classes)
    totals: dict[str, Floats] = {}
    for run, cells in zip(runs, confusions, strict=True):
        single, by_class = confusion_scores(cells.astype(np.float64))
        single |= {
            f"{name}/{run.classes[k]}": values[:, k]
            for name, values in by_class.items()
            for k in range(classes)
        }
        for name, values in single.items():
            totals[name] = totals.get(name, 0) + values / len(runs)
    return totals


def bootstrap_p(differences: Floats) -> float:
    """Return the two-sided p of resampled differences (R,) against none."""
    known = differences[~np.isnan(differences)]
    beyond = min(int((known <= 0).sum()), int((known >= 0).sum()))
    return min(1.0, 2 * (beyond + 1) / (len(known) + 1))


def differences(
    settings: Sequence[Sequence[FinishedRun]],
    scores: Sequence[dict[str, Floats]],
    points: Sequence[dict[str, float]],
) -> list[Difference]:
    """Compare each setting with each other one.

    Args:
        settings: The runs of each setting, which differ by the seed alone.
        scores: Of `resampled_scores`, for each setting.
        points: Accuracy and macro-F1 of each setting on the whole test set.
    """
    pairs = list(combinations(range(len(settings)), 2))
    raw = [bootstrap_p(scores[i]["macro_f1"] - scores[j]["macro_f1"]) for i, j in pairs]
    found = []
    for (i, j), p in zip(pairs, holm(raw), strict=True):
        only_first, only_second, exact = mcnemar(settings[i][0].correct, settings[j][0].correct)
        found.append(
            Difference(
                first=i,
                second=j,
                accuracy=points[i]["accuracy"] - points[j]["accuracy"],
                accuracy_interval=interval(scores[i]["accuracy"] - scores[j]["accuracy"]),
                macro_f1=points[i]["macro_f1"] - points[j]["macro_f1"],
                macro_f1_interval=interval(scores[i]["macro_f1"] - scores[j]["macro_f1"]),
                only_first=only_first,
                only_second=only_second,
                mcnemar=exact,
                p=p,
            )
        )
    return found
