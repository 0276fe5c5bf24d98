"""Calibration of logits, and the threshold below which a prediction is unsure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from heritage.core.numbers import percent
from heritage.metrics.calibration import Calibration, Floats, softmax
from heritage.metrics.calibration_claim import CalibrationClaim, calibration_claim, threshold_sentence
from heritage.metrics.finite import finite_rows
from heritage.metrics.prediction_sets import SetRule, members, set_rule
from heritage.metrics.prior import PriorShift, reweighted
from heritage.models.views import Views
from heritage.runs.calibration import read_calibration
from heritage.runs.validation_outputs import ValidationOutputs

UNSURE = "unsure"
"""The prediction in place of a class when the highest probability is below the threshold."""

_NO_SETS_UNDER_A_PRIOR = "No prediction sets: they are promised for the class frequencies of validation."


@dataclass(frozen=True)
class DecisionRule:
    """Temperature scaling and a confidence threshold.

    Attributes:
        temperature: Logits are divided by it before the softmax; 1 leaves them unchanged.
        threshold: Predictions with a confidence below it are "unsure"; None sets no bound.
        all_unsure: Whether every prediction is "unsure", because no threshold reaches the target precision.
        calibration: The fit that both come from; None if there is none.
        views: The test-time augmentation that they were fitted with.
        outputs: The validation logits that they were fitted on; None if they are not known.
        prior: The class frequencies that probabilities are for, by class; None for those of validation.
        factors: What calibrated probabilities are multiplied with for the prior, (K,).
        sets: The prediction sets; None if none were requested.

    Example:
        >>> rule = DecisionRule(threshold=0.6)
        >>> print(rule)
        not calibrated: run heritage evaluate; unsure below 60.0 % probability
        >>> rule.unsure(0.59)
        True
    """

    temperature: float = 1.0
    threshold: float | None = None
    all_unsure: bool = False
    calibration: Calibration | None = field(default=None, repr=False)
    views: str = field(default="none", repr=False)
    outputs: ValidationOutputs | None = field(default=None, repr=False, compare=False)
    prior: Mapping[str, float] | None = field(default=None, repr=False)
    factors: tuple[float, ...] | None = field(default=None, repr=False)
    sets: SetRule | None = field(default=None, repr=False)

    @classmethod
    def of(
        cls, calibration: Calibration | None, views: str = "none", outputs: ValidationOutputs | None = None
    ) -> DecisionRule:
        """Return the rule of a calibration; without one the temperature is 1 and nothing is unsure."""
        if calibration is None:
            return cls()
        threshold = calibration.threshold
        always = threshold is None
        return cls(calibration.temperature, threshold, always, calibration, views, outputs)

    def under(self, moved: PriorShift, prior: Mapping[str, float]) -> DecisionRule:
        """Return the rule for other class frequencies.

        Args:
            moved: Factors, threshold and calibration errors for them.
            prior: The class frequencies, by class.
        """
        threshold = moved.calibration.threshold
        return replace(
            self,
            threshold=threshold,
            all_unsure=threshold is None,
            calibration=moved.calibration,
            prior=prior,
            factors=tuple(moved.factors.tolist()),
            sets=None if self.sets is None else SetRule(self.sets.coverage, None, _NO_SETS_UNDER_A_PRIOR),
        )

    @property
    def prior_text(self) -> str:
        """The class frequencies in one line, the most frequent class first; empty for those of validation."""
        ranked = sorted((self.prior or {}).items(), key=lambda one: -one[1])
        return ", ".join(f"{name} {percent(share)}" for name, share in ranked)

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
        if self.prior is not None:
            notes.append(
                f"Probabilities are for the class frequencies {self.prior_text}; a fitted threshold is that "
                "of validation images weighted to them."
            )
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
        bound = "always unsure" if self.all_unsure else self._bound
        return f"{head}; {bound}" if self.prior is None else f"{head}; {bound}; prior {dict(self.prior)}"

    @property
    def _bound(self) -> str:
        if self.all_unsure:
            target = (
                "" if self.calibration is None else f" of {percent(self.calibration.target_precision, 0)}"
            )
            return f"every prediction is unsure, as no threshold reaches the target precision{target}"
        if self.threshold is None:
            return "never unsure"
        return f"unsure below {percent(self.threshold)} probability"

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
        fitted = None if self.calibration is None else self.calibration.sets
        rule = set_rule(fitted, coverage, classes, by_class=by_class)
        if self.prior is not None:  # whatever was fitted
            rule = SetRule(rule.coverage, None, _NO_SETS_UNDER_A_PRIOR)
        elif rule.thresholds is not None and tta != self.views:
            fault = f"No prediction sets: they were fitted with tta={self.views}, not tta={tta}."
            rule = SetRule(rule.coverage, None, fault)
        return replace(self, sets=rule)

    def prediction_set(self, probabilities: Floats, classes: Sequence[str]) -> tuple[str, ...] | None:
        """Return the classes in the set of an image, most probable first; None without sets.

        Args:
            probabilities: Shape (K,).
            classes: The class list, length K.
        """
        if self.sets is None or self.sets.thresholds is None:
            return None
        inside = members(probabilities[None], self.sets.thresholds)[0]
        return tuple(classes[k] for k in np.argsort(-probabilities, kind="stable") if inside[k])

    def probabilities(self, logits: npt.NDArray[np.floating[Any]]) -> Floats:
        """Return probabilities (B, K) of logits (B, K); NaN where logits are not finite."""
        probabilities = np.full(logits.shape, np.nan)
        finite = finite_rows(logits)
        probabilities[finite] = softmax(logits[finite], self.temperature)
        if self.factors is not None and finite.any():
            probabilities[finite] = reweighted(probabilities[finite], np.array(self.factors))
        return probabilities

    def converted(self, probabilities: Floats, rule: DecisionRule) -> Floats:
        """Return probabilities (B, K) of another rule for these networks as those of this one."""
        own, other = (np.ones(1) if one.factors is None else np.array(one.factors) for one in (self, rule))
        return probabilities if self.factors == rule.factors else reweighted(probabilities, own / other)

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
