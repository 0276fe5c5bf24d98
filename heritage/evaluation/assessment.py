"""Everything that is measured of a network's answers on a test set, with how sure it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from heritage.core.manifest import Manifest
from heritage.core.types import Fraction, NonNegativeInt, PositiveInt
from heritage.metrics.bootstrap import Interval, Resampled, bootstrap
from heritage.metrics.calibration import (
    Calibration,
    Reliability,
    RiskCoverage,
    brier_score,
    confidences,
    reliability,
    risk_coverage,
    softmax,
)
from heritage.metrics.classification import Scores, confusion_matrix, scores
from heritage.metrics.ranking import auroc, in_top
from heritage.metrics.slices import Slice, slice_labels, slices
from heritage.reports.run_report import as_record

Floats = npt.NDArray[np.float64]

NAMES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro-F1",
    "weighted_f1": "weighted F1",
    "top2_accuracy": "truth among the first two",
    "macro_auroc": "AUROC, mean over classes",
    "brier": "Brier score",
}
"""Scores of the whole set, in the order of tables, and what people call them."""


FEW_GROUPS = 5
"""A class of fewer groups gets no interval: resampling so few would feign certainty."""


@dataclass(frozen=True)
class EvaluationOptions:
    """What a report is to contain.

    Attributes:
        resamples: Of groups, for intervals.
        target_precision: The part of given answers that is to be right, where others are withheld.
        slices: Columns that are scored value by value; those that the manifest does not know are left out.
        each: Pictures of each kind of mistake, at most.
        pictures: Pictures in the page, at most.
        suspects: Suspected label errors with a picture, at most.
        seed: Of the resamples.
        out_of_fold: Folder of the runs of a k-fold split, to look for label errors in all images; None looks
            for them in validation and test.
    """

    resamples: PositiveInt
    target_precision: Fraction
    slices: list[str]
    each: NonNegativeInt
    pictures: NonNegativeInt
    suspects: NonNegativeInt
    seed: NonNegativeInt
    out_of_fold: str | None


@dataclass(frozen=True)
class Assessment:
    """A network's answers, measured.

    Attributes:
        title: Who was asked about what, a line.
        manifest: The images, N rows.
        targets: Shape (N,).
        logits: Shape (N, K).
        calibration: What was fitted on validation; None where there is none.
        settings: What to measure.
        facts: What a reader wants to know of the run, by name.
        notes: Warnings for the reader.
    """

    title: str
    manifest: Manifest
    targets: npt.NDArray[np.int64]
    logits: npt.NDArray[np.float32]
    calibration: Calibration | None
    settings: EvaluationOptions
    facts: Mapping[str, str]
    notes: Sequence[str] = field(default=())

    @property
    def classes(self) -> tuple[str, ...]:
        """The class list, length K."""
        return self.manifest.classes

    @cached_property
    def groups(self) -> list[str]:
        """The group of each image."""
        return [str(group) for group in self.manifest.column("group_id")]

    @cached_property
    def probabilities(self) -> Floats:
        """Softmax of the logits as they are, (N, K)."""
        return softmax(self.logits)

    @cached_property
    def believed(self) -> Floats:
        """Calibrated probabilities where there is a calibration, else the raw ones; (N, K)."""
        return self.probabilities if self.calibration is None else self.calibration.apply(self.logits)

    @cached_property
    def confusion(self) -> npt.NDArray[np.int64]:
        """Targets (rows) by predictions (columns), (K, K)."""
        return confusion_matrix(self.targets, self.probabilities.argmax(axis=1), len(self.classes))

    @cached_property
    def scores(self) -> Scores:
        """Precision, recall, F1 and their averages."""
        return scores(self.confusion)

    @cached_property
    def resampled(self) -> Resampled:
        """Scores of resampled groups."""
        return bootstrap(
            self.targets,
            self.probabilities,
            self.groups,
            resamples=self.settings.resamples,
            seed=self.settings.seed,
        )

    def class_intervals(self, name: str) -> list[Interval]:
        """Return the interval of each class's score; NaN for a class of too few groups to tell."""
        nothing = Interval(float("nan"), float("nan"))
        few = groups_of_classes(self.manifest) < FEW_GROUPS
        found = self.resampled.class_intervals(name)
        return [nothing if lacks else bounds for bounds, lacks in zip(found, few, strict=True)]

    @cached_property
    def auroc(self) -> Floats:
        """Each class against the rest, (K,)."""
        return auroc(self.probabilities, self.targets)

    @cached_property
    def values(self) -> dict[str, float]:
        """Scores of the whole set, by the keys of `NAMES`."""
        found, support = self.scores, self.scores.support
        return {
            "accuracy": found.accuracy,
            "balanced_accuracy": float(found.recall[support > 0].mean()),
            "macro_f1": found.macro.f1,
            "weighted_f1": found.weighted.f1,
            "top2_accuracy": float(in_top(self.probabilities, self.targets, 2).mean()),
            "macro_auroc": float(np.nanmean(self.auroc)) if not np.isnan(self.auroc).all() else float("nan"),
            "brier": brier_score(self.probabilities, self.targets),
        }

    def interval(self, name: str) -> Interval:
        """Return the interval of a score of the whole set."""
        return self.resampled.interval(name)

    @cached_property
    def reliability(self) -> tuple[Reliability, Reliability | None]:
        """Confidence against accuracy, before and after calibration."""
        after = None if self.calibration is None else reliability(self.believed, self.targets)
        return reliability(self.probabilities, self.targets), after

    @cached_property
    def risk(self) -> RiskCoverage:
        """What withholding the least confident answers gives."""
        return risk_coverage(*confidences(self.believed, self.targets))

    @cached_property
    def abstention(self) -> tuple[float, float] | None:
        """Coverage and precision here at the threshold fitted on validation; None without one."""
        if self.calibration is None or self.calibration.threshold is None:
            return None
        confidence, correct = confidences(self.believed, self.targets)
        given = confidence >= self.calibration.threshold
        return float(given.mean()), float(correct[given].mean()) if given.any() else float("nan")

    @cached_property
    def slices(self) -> dict[str, list[Slice]]:
        """Scores of parts, by what they are parts of; none where all is one part."""
        found = {}
        for by in self.settings.slices:
            labels = slice_labels(self.manifest, by)
            if labels is not None and len(set(labels)) > 1:
                found[by] = slices(
                    labels,
                    self.targets,
                    self.probabilities.argmax(axis=1),
                    self.groups,
                    classes=len(self.classes),
                    resamples=self.settings.resamples,
                    seed=self.settings.seed,
                )
        return found

    def record(self) -> dict[str, Any]:
        """Return all figures as plain data, for ``metrics.json``; NaN becomes null."""
        share = self.confusion / np.maximum(self.confusion.sum(axis=1, keepdims=True), 1)
        found = as_record(self.scores, self.classes) | self.values
        found |= {
            "intervals": {name: _pair(self.interval(name)) for name in NAMES},
            "confusion": self.confusion.tolist(),
            "confusion_by_row": share.tolist(),
            "groups": len(set(self.groups)),
            "calibration": self._calibration_record(),
            "slices": {
                by: {
                    one.name: {"images": one.images, "accuracy": one.accuracy,
                               "interval": _pair(one.interval), "macro_recall": one.macro_recall}
                    for one in parts
                }
                for by, parts in self.slices.items()
            },
            "resamples": self.settings.resamples,
            "facts": dict(self.facts),
            "notes": list(self.notes),
        }  # fmt: skip
        for k, name in enumerate(self.classes):
            found["classes"][name]["auroc"] = float(self.auroc[k])
        for score in ("precision", "recall", "f1", "auroc"):
            for name, bounds in zip(self.classes, self.class_intervals(score), strict=True):
                found["classes"][name][f"{score}_interval"] = _pair(bounds)
        cleaned: dict[str, Any] = _without_nan(found)
        return cleaned

    def _calibration_record(self) -> dict[str, Any]:
        before, after = self.reliability
        found: dict[str, Any] = {"ece": before.error, "aurc": self.risk.area}
        if self.calibration is not None and after is not None:
            found |= {
                "temperature": self.calibration.temperature,
                "ece_calibrated": after.error,
                "brier_calibrated": brier_score(self.believed, self.targets),
                "threshold": self.calibration.threshold,
                "target_precision": self.calibration.target_precision,
                "fitted_on": self.calibration.fitted_on.split,
            }
        if self.abstention is not None:
            found |= {"coverage": self.abstention[0], "precision": self.abstention[1]}
        return found


def groups_of_classes(manifest: Manifest) -> npt.NDArray[np.int64]:
    """Return how many groups each class has, (K,)."""
    found = {(int(k), group) for k, group in zip(manifest.targets, manifest.column("group_id"), strict=True)}
    return np.bincount([k for k, _ in found], minlength=len(manifest.classes))


def few_groups_note(manifest: Manifest) -> list[str]:
    """Return a warning of classes whose images come from so few groups that no interval can be had."""
    counts, images = groups_of_classes(manifest), manifest.counts()
    said = [f"{name} ({images[name]:,} images of {count})" for name, count in
            zip(manifest.classes, counts.tolist(), strict=True) if 0 < count < FEW_GROUPS]  # fmt: skip
    if not said:
        return []
    note = f"Too few groups for an interval: {', '.join(said)}. Averages over classes are less sure than "
    return [note + "their intervals say, because these classes hardly vary in them."]


def _pair(bounds: Interval) -> list[float]:
    return [bounds.low, bounds.high]


def _without_nan(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _without_nan(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_without_nan(value) for value in node]
    return None if isinstance(node, float) and np.isnan(node) else node
