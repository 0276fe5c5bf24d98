"""Does a confidence of 80 % mean right four times in five? Measured, mended, and kept beside the checkpoint.

Temperature scaling and the expected calibration error follow Guo et al., "On Calibration of Modern Neural
Networks", ICML 2017. One number, fitted on validation, divides all logits: answers stay the same, only
confidences change.

``calibration.json`` in a run folder holds what was fitted, for the commands that answer strangers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar  # type: ignore[import-untyped]

BINS = 15
"""Bins of equal width for the reliability diagram and the calibration error."""

Floats = npt.NDArray[np.float64]
Targets = npt.NDArray[np.int64]

_COLDEST, _HOTTEST = 0.05, 20.0


@dataclass(frozen=True, slots=True)
class FittedOn:
    """The images a calibration was fitted on: split, how many, and the data set's fingerprint."""

    split: str
    images: int
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Calibration:
    """What turns a network's logits into confidences that can be believed.

    Attributes:
        temperature: Divides the logits before the softmax.
        threshold: Answers of less calibrated confidence are withheld; None where no threshold gives the
            target precision.
        target_precision: The part of given answers that is to be right.
        fitted_on: Where both were fitted.
        ece_before: Expected calibration error there, without the temperature.
        ece_after: The same with it.
    """

    temperature: float
    threshold: float | None
    target_precision: float
    fitted_on: FittedOn
    ece_before: float
    ece_after: float

    def apply(self, logits: npt.NDArray[np.floating[Any]]) -> Floats:
        """Return calibrated probabilities (N, K) of logits (N, K)."""
        return softmax(logits, self.temperature)


def calibrate(
    logits: npt.NDArray[np.floating[Any]],
    targets: Targets,
    *,
    target_precision: float,
    split: str,
    fingerprint: str,
) -> Calibration:
    """Fit temperature and abstention threshold.

    Args:
        logits: Shape (N, K), of images that the network was not trained on.
        targets: Shape (N,).
        target_precision: The part of given answers that is to be right.
        split: The split they come from.
        fingerprint: The data set's.
    """
    temperature = fit_temperature(logits, targets)
    before, after = softmax(logits), softmax(logits, temperature)
    confidence, correct = confidences(after, targets)
    return Calibration(
        temperature=temperature,
        threshold=threshold_for(confidence, correct, target_precision),
        target_precision=target_precision,
        fitted_on=FittedOn(split, len(targets), fingerprint),
        ece_before=calibration_error(before, targets),
        ece_after=calibration_error(after, targets),
    )


def softmax(logits: npt.NDArray[np.floating[Any]], temperature: float = 1.0) -> Floats:
    """Return probabilities (N, K) of logits (N, K) divided by a temperature."""
    scaled = logits.astype(np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    found: Floats = powers / powers.sum(axis=1, keepdims=True)
    return found


def fit_temperature(logits: npt.NDArray[np.floating[Any]], targets: Targets) -> float:
    """Return the temperature that makes the targets most likely; shapes (N, K) and (N,).

    The likelihood has one peak in 1/T. A network that is always right would be made ever more certain,
    so the search ends at 0.05 and 20.
    """
    centred = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    own = centred[np.arange(len(targets)), targets]

    def cost(log_temperature: float) -> float:
        inverse = np.exp(-log_temperature)
        return float(np.mean(np.log(np.exp(centred * inverse).sum(axis=1)) - own * inverse))

    found = minimize_scalar(
        cost, bounds=(np.log(_COLDEST), np.log(_HOTTEST)), method="bounded", options={"xatol": 1e-6}
    )
    return float(np.exp(found.x))


def confidences(probabilities: Floats, targets: Targets) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Return each answer's confidence and whether it is right, both (N,)."""
    return probabilities.max(axis=1), probabilities.argmax(axis=1) == targets


@dataclass(frozen=True, slots=True)
class Reliability:
    """Answers by confidence, in `BINS` bins of equal width, lower edge excluded.

    Attributes:
        images: Answers in each bin.
        confidence: Their mean confidence; 0 in an empty bin.
        accuracy: The part that is right; 0 in an empty bin.
    """

    images: npt.NDArray[np.int64]
    confidence: Floats
    accuracy: Floats

    @property
    def error(self) -> float:
        """Expected calibration error: the mean gap between the two, over answers."""
        gap = np.abs(self.confidence - self.accuracy)
        return float((self.images * gap).sum() / max(int(self.images.sum()), 1))


def reliability(probabilities: Floats, targets: Targets, bins: int = BINS) -> Reliability:
    """Sort answers into bins by their confidence; shapes (N, K) and (N,)."""
    confidence, correct = confidences(probabilities, targets)
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    images = np.bincount(place, minlength=bins)
    some = np.maximum(images, 1)
    return Reliability(
        images,
        np.bincount(place, weights=confidence, minlength=bins) / some,
        np.bincount(place, weights=correct, minlength=bins) / some,
    )


def calibration_error(probabilities: Floats, targets: Targets) -> float:
    """Return the expected calibration error (Guo et al. 2017, equation 3)."""
    return reliability(probabilities, targets).error


def brier_score(probabilities: Floats, targets: Targets) -> float:
    """Return the mean squared distance of probabilities from the truth, between 0 and 2 (Brier 1950)."""
    return float(brier_terms(probabilities, targets).mean())


def brier_terms(probabilities: Floats, targets: Targets) -> Floats:
    """Return each image's part in the Brier score, shape (N,)."""
    own = probabilities[np.arange(len(targets)), targets]
    found: Floats = (probabilities**2).sum(axis=1) - 2 * own + 1
    return found


@dataclass(frozen=True, slots=True)
class RiskCoverage:
    """What answering only the more confident part costs and gives (El-Yaniv and Wiener 2010).

    Attributes:
        threshold: Confidence from which answers are given, descending, one for each distinct value; (M,).
        coverage: The part of images that is answered, (M,).
        precision: The part of given answers that is right, (M,).
        area: The mean risk over all coverages (AURC): smaller is better.
    """

    threshold: Floats
    coverage: Floats
    precision: Floats
    area: float


def risk_coverage(confidence: Floats, correct: npt.NDArray[np.bool_]) -> RiskCoverage:
    """Withhold the least confident answers step by step; both arguments (N,), N at least 1."""
    order = np.argsort(-confidence, kind="stable")
    ranked = confidence[order]
    answered = np.arange(1, len(ranked) + 1)
    precision = np.cumsum(correct[order]) / answered
    # answers of one confidence are given or withheld together
    last = np.append(ranked[1:] != ranked[:-1], True)
    return RiskCoverage(
        ranked[last], answered[last] / len(ranked), precision[last], float(np.mean(1 - precision))
    )


def threshold_for(
    confidence: Floats, correct: npt.NDArray[np.bool_], target_precision: float, *, least: int = 20
) -> float | None:
    """Return the lowest confidence from which the wished part of answers is right.

    Args:
        confidence: Shape (N,).
        correct: Shape (N,).
        target_precision: Between 0 and 1.
        least: A threshold that leaves fewer answers proves nothing and is not returned.

    Returns:
        None where no threshold does it.
    """
    if not len(confidence):
        return None
    curve = risk_coverage(confidence, correct)
    enough = curve.coverage * len(confidence) >= min(least, len(confidence)) - 0.5
    reached = np.flatnonzero((curve.precision >= target_precision) & enough)
    return float(curve.threshold[reached[-1]]) if len(reached) else None
