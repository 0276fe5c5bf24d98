"""From logits to probabilities that mean what they say, and to "unsure": a calibration at work."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from heritage.analysis.calibration import Floats, read_calibration, softmax

UNSURE = "unsure"
"""The answer in place of a class where the highest probability is under the threshold."""


@dataclass(frozen=True)
class Certainty:
    """How logits become probabilities, and which answers are withheld.

    Attributes:
        temperature: What logits are divided by before the softmax; 1 leaves them as they are.
        threshold: The highest probability must reach this, or the answer is "unsure"; None: it always does.
        fitted: Whether they were fitted on a validation split.
    """

    temperature: float = 1.0
    threshold: float | None = None
    fitted: bool = False

    def __str__(self) -> str:
        bound = "never unsure" if self.threshold is None else f"unsure below {self.threshold:.1%} probability"
        if not self.fitted:
            return f"not calibrated: run heritage evaluate; {bound}"
        return f"calibrated with temperature {self.temperature:.3g}; {bound}"

    def with_threshold(self, threshold: float | None) -> Certainty:
        """Return the same with another threshold; None keeps the present one."""
        return self if threshold is None else replace(self, threshold=threshold)

    def probabilities(self, logits: npt.NDArray[np.floating[Any]]) -> Floats:
        """Return calibrated probabilities (B, K) of logits (B, K)."""
        return softmax(logits, self.temperature)

    def unsure(self, confidence: float) -> bool:
        """Return whether an answer whose highest probability is this should be withheld."""
        return self.threshold is not None and confidence < self.threshold


def read_certainty(run_folder: Path | None) -> Certainty:
    """Return what a run folder's ``calibration.json`` says; without one, logits are taken as they are.

    Raises:
        CheckpointError: The file is damaged.
    """
    found = None if run_folder is None else read_calibration(run_folder)
    return Certainty() if found is None else Certainty(found.temperature, found.threshold, fitted=True)
