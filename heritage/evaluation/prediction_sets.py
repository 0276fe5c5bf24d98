"""Coverage and size of prediction sets on a test set, for the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from heritage.core.escaping import markdown
from heritage.core.numbers import percent
from heritage.metrics.prediction_sets import PredictionSets, members, set_rule
from heritage.metrics.set_scores import SetScore, set_scores
from heritage.reports.html import score


@dataclass(frozen=True)
class SetResult:
    """Measured prediction sets.

    Attributes:
        coverage: The promised coverage.
        by_class: Whether it is promised for each class.
        classes: The class list, length K.
        overall: Measured over all groups; None if there are no sets.
        scores: Measured over the groups of each class, length K; empty if there are no sets.
        fault: Why there are no sets, in a sentence.
    """

    coverage: float
    by_class: bool
    classes: tuple[str, ...]
    overall: SetScore | None = None
    scores: list[SetScore] = field(default_factory=list)
    fault: str | None = None

    @property
    def sentence(self) -> str:
        """What was measured, in a sentence."""
        if self.overall is None:
            return str(self.fault)
        whose = "the objects of each class" if self.by_class else "all objects"
        return (
            f"Sets with a promised coverage of {percent(self.coverage, 0)} of {whose}: the true class is in "
            f"{percent(self.overall.coverage)}{_within(self.overall, size=False)} of the sets, which have "
            f"{score(self.overall.size, 2)}{_within(self.overall, size=True)} classes on average; each group "
            "counts once."
        )

    @property
    def rows(self) -> list[tuple[str, str, str, str]]:
        """Class, coverage, mean size and number of groups; empty if there are no sets."""
        return [
            (
                name,
                f"{percent(one.coverage)}{_within(one, size=False)}",
                f"{score(one.size, 2)}{_within(one, size=True)}",
                f"{one.groups:,}",
            )
            for name, one in zip(self.classes, self.scores, strict=False)
            if one.groups
        ]

    def lines(self) -> list[str]:
        """Return the section of the report in Markdown."""
        lines = ["## Prediction sets", "", markdown(self.sentence), ""]
        if self.rows:
            lines += ["| class | coverage | classes in a set | groups |", "|---|---:|---:|---:|"]
            lines += [f"| {markdown(row[0])} | {' | '.join(row[1:])} |" for row in self.rows]
            lines.append("")
        return lines

    def record(self) -> dict[str, Any]:
        """Return plain data for ``metrics.json``."""
        record: dict[str, Any] = {"promised": self.coverage, "by_class": self.by_class, "fault": self.fault}
        if self.overall is not None:
            record |= _record(self.overall)
            record["classes"] = dict(zip(self.classes, map(_record, self.scores), strict=True))
        return record


def measured_sets(
    sets: PredictionSets | None,
    probabilities: npt.NDArray[np.float64],
    targets: npt.NDArray[np.int64],
    groups: Sequence[str],
    classes: tuple[str, ...],
    *,
    coverage: float,
    by_class: bool,
    resamples: int,
    seed: int,
) -> SetResult:
    """Measure prediction sets on images that their thresholds were not fitted on.

    Args:
        sets: The fitted thresholds; None if there are none.
        probabilities: Calibrated, (N, K).
        targets: Shape (N,).
        groups: The group of each image, length N.
        classes: The class list, length K.
        coverage: The promised coverage.
        by_class: Whether it is promised for each class.
        resamples: Resamples of groups for the intervals.
        seed: Their random seed.
    """
    rule = set_rule(sets, coverage, classes, by_class=by_class)
    if rule.thresholds is None:
        return SetResult(rule.coverage, by_class, classes, fault=rule.fault)
    inside = members(probabilities, rule.thresholds)
    overall, scores = set_scores(inside, targets, groups, resamples=resamples, seed=seed)
    return SetResult(rule.coverage, by_class, classes, overall, scores)


def _within(one: SetScore, *, size: bool) -> str:
    bounds = one.size_interval if size else one.coverage_interval
    if np.isnan(bounds.low):
        return ""
    low, high = (f"{value:.2f}" if size else percent(value) for value in (bounds.low, bounds.high))
    return "" if low == high else f" ({low}–{high})"


def _record(one: SetScore) -> dict[str, Any]:
    return {
        "coverage": one.coverage,
        "coverage_interval": [one.coverage_interval.low, one.coverage_interval.high],
        "size": one.size,
        "size_interval": [one.size_interval.low, one.size_interval.high],
        "groups": one.groups,
    }
