"""All measurements of a network's predictions on a test set, with confidence intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from heritage.core.escaping import html
from heritage.core.manifest import Manifest
from heritage.core.numbers import counted
from heritage.core.option_types import FilePath
from heritage.core.types import Coverage, Fraction, NonNegativeInt, PositiveInt, Seed
from heritage.evaluation.prediction_sets import SetResult, measured_sets
from heritage.metrics.bootstrap import FEW_GROUPS, Interval, Resampled, bootstrap
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
from heritage.metrics.calibration_claim import CalibrationClaim, calibration_claim
from heritage.metrics.classification import MEASURES, Scores
from heritage.metrics.confusion import ConfusionMatrix
from heritage.metrics.long_tails import TailRow
from heritage.metrics.ranking import auroc
from heritage.metrics.registry import METRICS, metrics_of_predictions
from heritage.metrics.slices import Slice, slice_labels, slices
from heritage.reports.html import score
from heritage.reports.run_report import as_record

Floats = npt.NDArray[np.float64]

CLASS_SCORES = (*MEASURES, "auroc")
"""Scores of each class that have intervals."""


@dataclass(frozen=True)
class EvaluationOptions:
    """Options of a report.

    Attributes:
        resamples: Number of resamples of groups for the intervals.
        target_precision: Fraction of predictions that are to be correct when the model may abstain.
        slices: Columns whose values are scored one by one; columns that the manifest lacks are left out.
        images_per_pair: Images of each pair of confused classes, at most.
        max_images: Images in the page, at most.
        label_errors: Suspected label errors with an image, at most.
        seed: Random seed of the resamples.
        out_of_fold: Folder of the runs of a k-fold split, to look for label errors in all images; None uses
            validation and test images.
        tails: Ratios of the forward and backward long tails whose accuracies are reported.
        coverage: Promised coverage of prediction sets, which are measured; None measures none.
        coverage_by_class: Whether it is promised for each class.
    """

    resamples: PositiveInt
    target_precision: Fraction
    slices: list[str]
    images_per_pair: NonNegativeInt
    max_images: NonNegativeInt
    label_errors: NonNegativeInt
    seed: Seed
    out_of_fold: FilePath | None
    tails: list[PositiveInt] = field(default_factory=list)
    coverage: Coverage | None = 0.9
    coverage_by_class: bool = False


@dataclass(frozen=True)
class Assessment:
    """Predictions of a network and all that is measured of them, computed when first used.

    Attributes:
        title: Model and test set, one line.
        manifest: The images, N rows.
        targets: Shape (N,).
        logits: Shape (N, K).
        calibration: Temperature and threshold fitted on validation, if any.
        settings: The report's options.
        facts: Facts about the run, by name.
        notes: Warnings for the reader.
        tails: The table of forward to backward long tails.
    """

    title: str
    manifest: Manifest
    targets: npt.NDArray[np.int64]
    logits: npt.NDArray[np.float32]
    calibration: Calibration | None
    settings: EvaluationOptions
    facts: Mapping[str, str]
    notes: Sequence[str] = field(default=())
    tails: Sequence[TailRow] = field(default=())

    @property
    def classes(self) -> tuple[str, ...]:
        """The class list, K."""
        return self.manifest.classes

    @cached_property
    def groups(self) -> list[str]:
        """The group of each image, length N."""
        return [str(group) for group in self.manifest.column("group_id")]

    @cached_property
    def probabilities(self) -> Floats:
        """Softmax of the logits without a temperature, (N, K)."""
        return softmax(self.logits)

    @cached_property
    def calibrated(self) -> Floats:
        """Probabilities with the fitted temperature, or without one if there is no calibration, (N, K)."""
        return self.probabilities if self.calibration is None else self.calibration.apply(self.logits)

    @cached_property
    def confusion(self) -> ConfusionMatrix:
        """The confusion matrix."""
        return ConfusionMatrix.of(self.targets, self.probabilities.argmax(axis=1), self.classes)

    @property
    def scores(self) -> Scores:
        """Precision, recall, F1 and their averages."""
        return self.confusion.scores

    @cached_property
    def resampled(self) -> Resampled:
        """All metrics of resamples of groups."""
        return bootstrap(
            self.targets,
            self.probabilities,
            self.groups,
            resamples=self.settings.resamples,
            seed=self.settings.seed,
        )

    def class_intervals(self, name: str) -> list[Interval]:
        """Return the interval of a score of each class; NaN for a class of fewer than `FEW_GROUPS` groups."""
        undefined = Interval(float("nan"), float("nan"))
        few = groups_of_classes(self.manifest) < FEW_GROUPS
        intervals = self.resampled.class_intervals(name)
        return [undefined if is_few else bounds for bounds, is_few in zip(intervals, few, strict=True)]

    @cached_property
    def auroc(self) -> Floats:
        """AUROC of each class against the rest, (K,)."""
        return auroc(self.probabilities, self.targets)

    @cached_property
    def values(self) -> dict[str, float]:
        """All metrics of `heritage.metrics.registry` by name."""
        return metrics_of_predictions(self.probabilities, self.targets)

    def interval(self, name: str) -> Interval:
        """Return the interval of a metric of the whole set."""
        return self.resampled.interval(name)

    @cached_property
    def reliability(self) -> tuple[Reliability, Reliability | None]:
        """Confidence against accuracy, before and after calibration."""
        after = None if self.calibration is None else reliability(self.calibrated, self.targets)
        return reliability(self.probabilities, self.targets), after

    @cached_property
    def risk(self) -> RiskCoverage:
        """The risk-coverage curve."""
        return risk_coverage(*confidences(self.calibrated, self.targets))

    @cached_property
    def abstention(self) -> tuple[float, float] | None:
        """Coverage and precision on this set at the threshold fitted on validation; None without calibration.

        If no threshold reaches the target precision, every prediction is unsure: coverage is 0.
        """
        if self.calibration is None:
            return None
        if self.calibration.threshold is None:
            return 0.0, float("nan")
        confidence, correct = confidences(self.calibrated, self.targets)
        covered = confidence >= self.calibration.threshold
        return float(covered.mean()), float(correct[covered].mean()) if covered.any() else float("nan")

    @cached_property
    def sets(self) -> SetResult | None:
        """Coverage and size of prediction sets; None if none are to be measured."""
        if self.settings.coverage is None or self.calibration is None:
            return None
        return measured_sets(
            self.calibration.sets, self.calibrated, self.targets, self.groups, self.classes,
            coverage=self.settings.coverage, by_class=self.settings.coverage_by_class,
            resamples=self.settings.resamples, seed=self.settings.seed,
        )  # fmt: skip

    @property
    def claim(self) -> CalibrationClaim:
        """What may be claimed about the network's probabilities."""
        return calibration_claim(self.calibration)

    @cached_property
    def slices(self) -> dict[str, list[Slice]]:
        """Slices by the column that they come from; columns of a single value are left out."""
        tables = {}
        for by in self.settings.slices:
            labels = slice_labels(self.manifest, by)
            if labels is not None and len(set(labels)) > 1:
                tables[by] = slices(
                    labels,
                    self.targets,
                    self.probabilities.argmax(axis=1),
                    self.groups,
                    classes=len(self.classes),
                    resamples=self.settings.resamples,
                    seed=self.settings.seed,
                )
        return tables

    def record(self) -> dict[str, Any]:
        """Return all measurements as plain data, for ``metrics.json``; NaN becomes null."""
        record = as_record(self.scores, self.classes) | self.values
        record |= {
            "intervals": {name: _pair(self.interval(name)) for name in METRICS},
            "confusion": self.confusion.counts.tolist(),
            "confusion_by_row": self.confusion.fractions.tolist(),
            "groups": len(set(self.groups)),
            "calibration": self._calibration_record(),
            "prediction_sets": None if self.sets is None else self.sets.record(),
            "slices": {
                by: {
                    one.name: {"images": one.images, "accuracy": one.accuracy,
                               "interval": _pair(one.interval), "macro_recall": one.macro_recall}
                    for one in parts
                }
                for by, parts in self.slices.items()
            },
            "long_tails": {row.name: row.record(self.classes) for row in self.tails},
            "resamples": self.settings.resamples,
            "facts": dict(self.facts),
            "notes": list(self.notes),
        }  # fmt: skip
        for k, name in enumerate(self.classes):
            record["classes"][name]["auroc"] = float(self.auroc[k])
        for measure in CLASS_SCORES:
            for name, bounds in zip(self.classes, self.class_intervals(measure), strict=True):
                record["classes"][name][f"{measure}_interval"] = _pair(bounds)
        without_nan: dict[str, Any] = _without_nan(record)
        return without_nan

    def _calibration_record(self) -> dict[str, Any]:
        before, after = self.reliability
        record: dict[str, Any] = {"ece": before.error, "aurc": self.risk.area}
        if self.calibration is not None and after is not None:
            record |= {
                "temperature": self.calibration.temperature,
                "ece_calibrated": after.error,
                "brier_calibrated": brier_score(self.calibrated, self.targets),
                "threshold": self.calibration.threshold,
                "target_precision": self.calibration.target_precision,
                "fitted_on": self.calibration.fitted_on.split,
                "fitted_on_images": self.calibration.fitted_on.images,
                "fitted_on_groups": self.calibration.fitted_on.groups,
                "held_out": self.calibration.held_out and asdict(self.calibration.held_out),
            }
        record |= {"calibrated": self.claim.calibrated, "claim": self.claim.sentence}
        if self.abstention is not None:
            record |= {"coverage": self.abstention[0], "precision": self.abstention[1]}
        return record

    def __repr__(self) -> str:
        return f"Assessment({self.title!r}, {self.confusion!r})"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left'>{html(metric.title)}</th>"
            f"<td>{score(self.values[name])}</td>"
            f"<td>{score(self.interval(name).low)} – {score(self.interval(name).high)}</td></tr>"
            for name, metric in METRICS.items()
        )
        return (
            f"<table><caption>{html(self.title)}</caption><thead><tr><th>metric</th><th>value</th>"
            f"<th>95 % interval</th></tr></thead><tbody>{rows}</tbody></table>{self.confusion._repr_html_()}"
        )


def groups_of_classes(manifest: Manifest) -> npt.NDArray[np.int64]:
    """Return the number of groups of each class, (K,)."""
    groups = {(int(k), name) for k, name in zip(manifest.targets, manifest.column("group_id"), strict=True)}
    return np.bincount([k for k, _ in groups], minlength=len(manifest.classes))


def few_groups_note(manifest: Manifest) -> list[str]:
    """Return a warning about classes of too few groups for an interval; empty without such classes."""
    counts, images = groups_of_classes(manifest), manifest.counts()
    few = [
        f"{name} ({counted(images[name], 'image')} in {counted(count, 'group')})"
        for name, count in zip(manifest.classes, counts.tolist(), strict=True)
        if 0 < count < FEW_GROUPS
    ]
    if not few:
        return []
    note = f"Too few groups for an interval: {', '.join(few)}. Intervals of averages over classes are too "
    return [f"{note}narrow, because these classes hardly vary between resamples."]


def _pair(bounds: Interval) -> list[float]:
    return [bounds.low, bounds.high]


def _without_nan(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _without_nan(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_without_nan(value) for value in node]
    return None if isinstance(node, float) and np.isnan(node) else node
