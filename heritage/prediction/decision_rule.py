"""Calibration of logits, and the threshold below which a prediction is unsure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from heritage.metrics.calibration import Floats, softmax
from heritage.runs.calibration import read_calibration

UNSURE = "unsure"
"""The prediction in place of a class when the highest probability is below the threshold."""


@dataclass(frozen=True)
class DecisionRule:
    """Temperature scaling and a confidence threshold.

    Attributes:
        temperature: Logits are divided by it before the softmax; 1 leaves them unchanged.
        threshold: Predictions with a confidence below it are "unsure"; None accepts all.
        fitted: Whether both were fitted on a validation split.

    Example:
        >>> rule = DecisionRule(temperature=1.5, threshold=0.6, fitted=True)
        >>> print(rule)
        calibrated with temperature 1.5; unsure below 60.0% probability
        >>> rule.unsure(0.59)
        True
    """

    temperature: float = 1.0
    threshold: float | None = None
    fitted: bool = False

    def __str__(self) -> str:
        bound = "never unsure" if self.threshold is None else f"unsure below {self.threshold:.1%} probability"
        if not self.fitted:
            return f"not calibrated: run heritage evaluate; {bound}"
        return f"calibrated with temperature {self.temperature:.3g}; {bound}"

    def with_threshold(self, threshold: float | None) -> DecisionRule:
        """Return a copy with another threshold; None keeps the present one."""
        return self if threshold is None else replace(self, threshold=threshold)

    def probabilities(self, logits: npt.NDArray[np.floating[Any]]) -> Floats:
        """Return calibrated probabilities (B, K) of logits (B, K)."""
        return softmax(logits, self.temperature)

    def unsure(self, confidence: float) -> bool:
        """Return whether a prediction with this confidence (its highest probability) is withheld."""
        return self.threshold is not None and confidence < self.threshold


def read_decision_rule(run_folder: Path | None) -> DecisionRule:
    """Return the decision rule in a run folder's ``calibration.json``.

    Args:
        run_folder: The run folder. Without a folder or a calibration, the temperature is 1 and there is no
            threshold.

    Raises:
        CheckpointError: The file is damaged.
    """
    calibration = None if run_folder is None else read_calibration(run_folder)
    if calibration is None:
        return DecisionRule()
    return DecisionRule(calibration.temperature, calibration.threshold, fitted=True)
