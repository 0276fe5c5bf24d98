"""Calibration of logits, and the threshold below which a prediction is unsure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from heritage.metrics.calibration import Calibration, Floats, softmax
from heritage.metrics.calibration_claim import CalibrationClaim, calibration_claim, threshold_sentence
from heritage.metrics.finite import finite_rows
from heritage.metrics.prediction_sets import members
from heritage.models.views import Views
from heritage.runs.calibration import read_calibration

UNSURE = "unsure"
"""The prediction in place of a class when the highest probability is below the threshold."""


@dataclass(frozen=True)
class SetRule:
    """Which classes are in a prediction set.

    Attributes:
        coverage: The promised coverage.
        thresholds: Lowest probability of each class in a set, length K; None if there are no sets.
        fault: Why there are none, in a sentence.
    """

    coverage: float
    thresholds: tuple[float, ...] | None
    fault: str | None = None


def set_rule(
    calibration: Calibration | None, coverage: float, classes: Sequence[str], by_class: bool, same_views: bool
) -> SetRule:
    """Return the prediction sets of a calibration, or why it has none.

    Args:
        calibration: The calibration; None if there is none.
        coverage: The promised coverage.
        classes: The class list, length K.
        by_class: Whether the coverage is promised for each class.
        same_views: Whether it was fitted with the test-time augmentation of the predictions.
    """
    sets = None if calibration is None else calibration.sets
    if sets is None or len(sets.class_groups) != len(classes):
        return SetRule(coverage, None, "No prediction sets: none were fitted; heritage evaluate fits them.")
    if not same_views:
        fault = "No prediction sets: they were fitted for another test-time augmentation (tta)."
        return SetRule(coverage, None, fault)
    thresholds = sets.of(coverage, by_class=by_class)
    known = [threshold for threshold in thresholds if threshold is not None]
    if len(known) < len(thresholds):
        return SetRule(coverage, None, sets.fault(coverage, classes, by_class=by_class))
    return SetRule(coverage, tuple(known))


@dataclass(frozen=True)
class DecisionRule:
    """Temperature scaling and a confidence threshold.

    Attributes:
        temperature: Logits are divided by it before the softmax; 1 leaves them unchanged.
        threshold: Predictions with a confidence below it are "unsure"; None sets no bound.
        all_unsure: Whether every prediction is "unsure", because no threshold reaches the target precision.
        calibration: The fit that both come from; None if there is none.
        views: The test-time augmentation that they were fitted with.
        sets: The prediction sets; None if none were requested.

    Example:
        >>> rule = DecisionRule(threshold=0.6)
        >>> print(rule)
        not calibrated: run heritage evaluate; unsure below 60.0% probability
        >>> rule.unsure(0.59)
        True
    """

    temperature: float = 1.0
    threshold: float | None = None
    all_unsure: bool = False
    calibration: Calibration | None = field(default=None, repr=False)
    views: str = field(default="none", repr=False)
    sets: SetRule | None = field(default=None, repr=False)

    @classmethod
    def of(cls, calibration: Calibration | None, views: str = "none") -> DecisionRule:
        """Return the rule of a calibration; without one the temperature is 1 and nothing is unsure."""
        if calibration is None:
            return cls()
        threshold = calibration.threshold
        always = threshold is None
        return cls(calibration.temperature, threshold, always, calibration, views)

    def __str__(self) -> str:
        return f"{self.claim.short}; {self._bound}"

    @property
    def brief(self) -> str:
        """The rule in a few words, without reasons and remedies."""
        return f"{self.claim.short.partition(':')[0]}; {'always unsure' if self.all_unsure else self._bound}"

    @property
    def claim(self) -> CalibrationClaim:
        """What may be claimed about the probabilities."""
        return calibration_claim(self.calibration)

    @property
    def threshold_sentence(self) -> str:
        """When a prediction is unsure, in a sentence."""
        if self.calibration is None or self.threshold != self.calibration.threshold:
            return f"{self._bound[0].upper()}{self._bound[1:]}."
        return threshold_sentence(self.calibration)

    def notes(self, tta: str = "none") -> list[str]:
        """Return what users of the predictions need to know about confidences; empty if nothing.

        Args:
            tta: The test-time augmentation of the predictions.
        """
        notes = [self.threshold_sentence] if self.all_unsure else []
        if self.sets is not None and self.sets.fault is not None:
            notes.append(self.sets.fault)
        if tta != self.views and self.calibration is not None:
            notes.append(
                f"Temperature and threshold were fitted with tta={self.views}, not tta={tta}: nothing is "
                f"known about the calibration of these probabilities. heritage evaluate tta={tta} fits it."
            )
        return notes

    @property
    def identity(self) -> str:
        """A text that equal rules share, in the words of version 0.1, whose tables are recognised by it."""
        if self.calibration is None:
            head = "not calibrated: run heritage evaluate"
        else:
            head = f"calibrated with temperature {self.temperature:.3g}"
        return f"{head}; {'always unsure' if self.all_unsure else self._bound}"

    @property
    def _bound(self) -> str:
        if self.all_unsure:
            target = "" if self.calibration is None else f" of {self.calibration.target_precision:.0%}"
            return f"every prediction is unsure, as no threshold reaches the target precision{target}"
        if self.threshold is None:
            return "never unsure"
        return f"unsure below {self.threshold:.1%} probability"

    def with_threshold(self, threshold: float | None) -> DecisionRule:
        """Return a copy with another threshold; None keeps the present one."""
        return self if threshold is None else replace(self, threshold=threshold, all_unsure=False)

    def with_sets(
        self, coverage: float | None, classes: Sequence[str], *, by_class: bool = False, tta: str = "none"
    ) -> DecisionRule:
        """Return a copy that gives prediction sets, or states why it cannot.

        Args:
            coverage: The promised coverage, from 0.5 to 0.99; None gives no sets.
            classes: The class list, length K.
            by_class: Whether it is promised for each class.
            tta: The test-time augmentation of the predictions.
        """
        if coverage is None:
            return self
        return replace(self, sets=set_rule(self.calibration, coverage, classes, by_class, tta == self.views))

    def prediction_set(self, probabilities: Floats) -> list[int] | None:
        """Return the classes in the set of an image, most probable first; None without sets.

        Args:
            probabilities: Shape (K,).
        """
        if self.sets is None or self.sets.thresholds is None:
            return None
        inside = members(probabilities[None], self.sets.thresholds)[0]
        return [k for k in np.argsort(-probabilities, kind="stable").tolist() if inside[k]]

    def probabilities(self, logits: npt.NDArray[np.floating[Any]]) -> Floats:
        """Return probabilities (B, K) of logits (B, K); NaN where logits are not finite."""
        probabilities = np.full(logits.shape, np.nan)
        finite = finite_rows(logits)
        probabilities[finite] = softmax(logits[finite], self.temperature)
        return probabilities

    def unsure(self, confidence: float) -> bool:
        """Return whether a prediction with this confidence (its highest probability) is withheld."""
        return self.all_unsure or (self.threshold is not None and confidence < self.threshold)


def read_decision_rule(run_folder: Path | None, tta: Views = "none") -> DecisionRule:
    """Return the decision rule in a run folder's ``calibration.json``.

    Args:
        run_folder: The run folder. Without a folder or a calibration, the temperature is 1 and there is no
            threshold.
        tta: The test-time augmentation. If `heritage evaluate` did not fit a calibration for it, the rule is
            that of one view, and its `DecisionRule.notes` state it.

    Raises:
        CheckpointError: The file is damaged.
    """
    if run_folder is None:
        return DecisionRule()
    if tta != "none" and (fitted := read_calibration(run_folder, tta)) is not None:
        return DecisionRule.of(fitted, tta)
    return DecisionRule.of(read_calibration(run_folder))
