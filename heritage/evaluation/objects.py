"""Predictions by object: what several photographs of one object gain over single ones."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from heritage.core.numbers import counted
from heritage.evaluation.assessment import Assessment
from heritage.metrics.bootstrap import FEW_GROUPS
from heritage.metrics.objects import Gain, object_scores
from heritage.metrics.registry import METRICS
from heritage.reports.html import score
from heritage.runs.audits import AuditResult

_NAME = "Objects instead of photographs"
_HEAD = ("metric", "single photographs", "objects", "gain", "95 % interval")


def object_result(assessment: Assessment) -> AuditResult:
    """Compare the predictions for objects of several photographs with those for single photographs.

    The object of a photograph is in the column ``object_id``; without one, it is the group.
    """
    a = assessment
    named = a.manifest.column("object_id")
    column = "object_id" if any(named) else "group_id"
    objects = [str(one or group) for one, group in zip(named, a.groups, strict=True)]
    found = object_scores(
        a.calibrated, a.targets, objects, a.groups, resamples=a.settings.resamples, seed=a.settings.seed
    )
    record = asdict(found) | {"column": column, "mixed": len(found.mixed)}
    mixed = ""
    if found.mixed:
        more = f" and {len(found.mixed) - 5} more" if len(found.mixed) > 5 else ""
        count = counted(len(found.mixed), "object")
        mixed = (
            f" {count} with photographs of different classes left out: {', '.join(found.mixed[:5])}{more}."
        )
    if not found.gains:
        return AuditResult(
            "objects",
            _NAME,
            "There is nothing to combine.",
            f"No object (column {column}) has several photographs of one class.{mixed}",
            good=True,
            record=record,
        )
    few = found.groups < FEW_GROUPS
    rows = [(METRICS[name].title, *_cells(gain, few=few)) for name, gain in found.gains.items()]
    gain = found.gains["accuracy"]
    return AuditResult(
        "objects",
        _NAME,
        f"Accuracy by object: {score(gain.combined)} instead of {score(gain.single)} by single photograph.",
        f"The probabilities of all photographs of an object (column {column}) are averaged, for "
        f"{counted(found.objects, 'object')} with {counted(found.images, 'photograph')}. In both "
        f"columns each object counts once; intervals of the gain are paired, over groups.{mixed}",
        good=True,
        head=_HEAD,
        rows=rows,
        record=record,
    )


def _cells(gain: Gain, *, few: bool) -> tuple[str, str, str, str]:
    bounds = gain.interval
    known = not few and not np.isnan(bounds.low)
    within = f"{bounds.low:+.3f} – {bounds.high:+.3f}" if known else "too few groups"
    return score(gain.single), score(gain.combined), f"{gain.difference:+.3f}", within
