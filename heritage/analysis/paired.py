"""Is one network better than another, or was it luck? Paired tests on one test set.

McNemar's exact test asks whether one of two networks is right more often where only one of them is
(McNemar 1947). It takes images as independent, which views of one object are not; the paired bootstrap draws
groups, so its interval is the one to believe. Many comparisons find something by chance: Holm's step-down
correction (Scandinavian Journal of Statistics 1979) holds the chance of a single false finding below 5 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest  # type: ignore[import-untyped]

from heritage.analysis.bootstrap import (
    Interval,
    confusion_scores,
    confusion_terms,
    group_codes,
    interval,
    resampled_sums,
)
from heritage.analysis.runs import Run

Floats = npt.NDArray[np.float64]

LEVEL = 0.05


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


def resampled_scores(runs: Sequence[Run], resamples: int, seed: int) -> dict[str, Floats]:
    """Return scores of the mean over runs on each resample of groups, each (R,), by name.

    The draws depend on the test set and the seed alone, so settings can be subtracted.
    """
    codes = group_codes(runs[0].groups)
    classes = len(runs[0].classes)
    totals: dict[str, Floats] = {}
    for run in runs:
        terms = confusion_terms(run.targets, run.predicted, classes)
        sums = resampled_sums(terms, codes, resamples, seed).reshape(-1, classes, classes)
        single, by_class = confusion_scores(sums)
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
    settings: Sequence[Sequence[Run]], scores: Sequence[dict[str, Floats]], points: Sequence[dict[str, float]]
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
