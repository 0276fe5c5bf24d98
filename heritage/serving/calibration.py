"""What turns a network's logits into probabilities that mean what they say, and into "unsure".

`heritage.evaluate` fits a temperature (Guo et al., "On Calibration of Modern Neural Networks", ICML 2017)
and a threshold on the validation split and writes both into the run folder as ``calibration.json``.
Here they are only read and applied.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from heritage.config.types import Probability
from heritage.errors import CheckpointError

CALIBRATION_FILE = "calibration.json"

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """How logits become probabilities, and below which of them the answer is "unsure".

    Attributes:
        temperature: What logits are divided by before the softmax; 1 leaves them as they are.
        threshold: The highest probability must reach this, or the answer is "unsure"; None: it always does.
        fitted: Whether both were fitted on a validation split.
    """

    temperature: float = 1.0
    threshold: float | None = None
    fitted: bool = False

    def __str__(self) -> str:
        unsure = (
            "never unsure" if self.threshold is None else f"unsure below {self.threshold:.1%} probability"
        )
        if not self.fitted:
            return f"not calibrated: run heritage evaluate; {unsure}"
        return f"calibrated with temperature {self.temperature:.3g}; {unsure}"

    def with_threshold(self, threshold: Probability | None) -> Calibration:
        """Return the same with another threshold; None keeps the present one."""
        if threshold is None:
            return self
        return Calibration(self.temperature, threshold, self.fitted)

    def probabilities(self, logits: npt.NDArray[np.floating]) -> Floats:
        """Return softmax(logits / temperature) in double precision; (B, K) → (B, K)."""
        scaled = logits.astype(np.float64) / self.temperature
        powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        found: Floats = powers / powers.sum(axis=1, keepdims=True)
        return found

    def unsure(self, confidence: float) -> bool:
        """Return whether an answer whose highest probability is this should be withheld."""
        return self.threshold is not None and confidence < self.threshold


def read_calibration(run_folder: Path | None) -> Calibration:
    """Read a run folder's ``calibration.json``; without one, logits are taken as they are.

    Raises:
        CheckpointError: The file is damaged or its values make no sense.
    """
    if run_folder is None or not (run_folder / CALIBRATION_FILE).is_file():
        return Calibration()
    path = run_folder / CALIBRATION_FILE
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        temperature = float(record["temperature"])
        threshold = None if record["threshold"] is None else float(record["threshold"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"unreadable calibration ({error!r})", where=path, remedy="run `heritage evaluate` again"
        ) from error
    if not (math.isfinite(temperature) and temperature > 0) or not (threshold is None or 0 <= threshold <= 1):
        raise CheckpointError(
            f"temperature {temperature}, threshold {threshold} make no sense",
            where=path,
            remedy="run `heritage evaluate` again",
        )
    return Calibration(temperature, threshold, fitted=True)
