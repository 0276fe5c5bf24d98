"""Calibration: temperature scaling, calibration error, Brier score, and abstention at a confidence threshold.

Temperature scaling and the expected calibration error follow Guo et al., "On Calibration of Modern Neural
Networks", ICML 2017. One temperature, fitted on validation, divides all logits: predicted classes stay the
same, only confidences change. `heritage.runs.calibration` stores the fitted values in a run folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar  # type: ignore[import-untyped]

from heritage.metrics.prediction_sets import PredictionSets, fit_prediction_sets

BINS = 15
"""Bins of equal width for the reliability diagram and the calibration error."""

Floats = npt.NDArray[np.float64]
Targets = npt.NDArray[np.int64]

FOLDS = 5
"""Folds of the cross-validation that measures the calibration error on held-out groups."""

_LOWEST, _HIGHEST = 0.05, 20.0  # temperatures


@dataclass(frozen=True, slots=True)
class FittedOn:
    """The images that a calibration was fitted on.

    Attributes:
        split: Their split.
        images: Their number.
        fingerprint: Fingerprint of the data set.
        groups: Number of groups that they belong to; None if an earlier version fitted it.
    """

    split: str
    images: int
    fingerprint: str
    groups: int | None = None


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Calibration errors on held-out groups: each image has a temperature fitted on the other folds.

    Attributes:
        folds: Number of folds.
        ece_before: Expected calibration error without a temperature.
        ece_after: The same with the temperatures of the other folds.
    """

    folds: int
    ece_before: float
    ece_after: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """A fitted temperature and abstention threshold.

    Attributes:
        temperature: Divides the logits before the softmax.
        threshold: Lowest calibrated confidence at which a prediction is made; None if no threshold reaches
            the target precision.
        target_precision: Intended fraction of correct predictions among those made.
        fitted_on: The images that both were fitted on.
        ece_before: Expected calibration error on these without the temperature.
        ece_after: The same with the temperature, which was fitted on the same images: too low.
        held_out: The errors on images that the temperature was not fitted on; None if they were not measured.
        method: How logits are calibrated.
        sets: Thresholds of prediction sets; None if an earlier version fitted the calibration.
    """

    temperature: float
    threshold: float | None
    target_precision: float
    fitted_on: FittedOn
    ece_before: float
    ece_after: float
    held_out: HeldOut | None = None
    method: str = "temperature"
    sets: PredictionSets | None = None

    def apply(self, logits: npt.NDArray[np.floating[Any]]) -> Floats:
        """Return calibrated probabilities (N, K) of logits (N, K)."""
        return softmax(logits, self.temperature)


def calibrate(
    logits: npt.NDArray[np.floating[Any]],
    targets: Targets,
    groups: Sequence[str],
    *,
    target_precision: float,
    split: str,
    fingerprint: str,
) -> Calibration:
    """Fit temperature and abstention threshold, and measure the calibration error on held-out groups.

    Args:
        logits: Shape (N, K), of images that the network was not trained on; N at least 1.
        targets: Shape (N,).
        groups: The group of each image, length N.
        target_precision: Intended fraction of correct predictions among those made.
        split: The split that they come from.
        fingerprint: Fingerprint of the data set.
    """
    temperature = fit_temperature(logits, targets)
    before, after = softmax(logits), softmax(logits, temperature)
    confidence, correct = confidences(after, targets)
    return Calibration(
        temperature=temperature,
        threshold=threshold_for(confidence, correct, target_precision),
        target_precision=target_precision,
        fitted_on=FittedOn(split, len(targets), fingerprint, len(set(groups))),
        ece_before=calibration_error(before, targets),
        ece_after=calibration_error(after, targets),
        held_out=held_out_errors(logits, targets, groups),
        sets=fit_prediction_sets(after, targets, groups),
    )


def held_out_errors(
    logits: npt.NDArray[np.floating[Any]], targets: Targets, groups: Sequence[str]
) -> HeldOut | None:
    """Measure the calibration error by cross-validation over groups.

    Args:
        logits: Shape (N, K).
        targets: Shape (N,).
        groups: The group of each image, length N.

    Returns:
        The errors; None for fewer than two groups.
    """
    fold = group_folds(groups)
    if fold is None:
        return None
    folds = int(fold.max()) + 1
    after = np.empty(logits.shape, dtype=np.float64)
    for number in range(folds):
        held = fold == number
        after[held] = softmax(logits[held], fit_temperature(logits[~held], targets[~held]))
    return HeldOut(folds, calibration_error(softmax(logits), targets), calibration_error(after, targets))


def group_folds(groups: Sequence[str]) -> npt.NDArray[np.int64] | None:
    """Assign images to folds so that a group is in one fold.

    Args:
        groups: The group of each image, length N.

    Returns:
        The fold of each image, (N,), of `FOLDS` or one for each group; None for fewer than two groups.
    """
    names, codes = np.unique(np.asarray(groups, dtype=object).astype(str), return_inverse=True)
    folds = min(FOLDS, len(names))
    if folds < 2:
        return None
    fold: npt.NDArray[np.int64] = (np.random.default_rng(0).permutation(len(names)) % folds)[codes]
    return fold


def cross_entropy(logits: npt.NDArray[np.floating[Any]], targets: Targets) -> Floats:
    """Return the cross entropy (N,) of logits (N, K) and class positions (N,)."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    losses: Floats = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(targets)), targets]
    return losses


def softmax(logits: npt.NDArray[np.floating[Any]], temperature: float = 1.0) -> Floats:
    """Return probabilities (N, K) of logits (N, K) divided by a temperature."""
    scaled = logits.astype(np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    probabilities: Floats = powers / powers.sum(axis=1, keepdims=True)
    return probabilities


def pooled_logits(logits: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    """Return the logarithm of the mean of several networks' probabilities, (N, K); of one, its logits."""
    if len(logits) == 1:
        return logits[0]
    mean = np.mean([softmax(one) for one in logits], axis=0)
    pooled: npt.NDArray[np.float32] = np.log(np.maximum(mean, 1e-30)).astype(np.float32)
    return pooled


def fit_temperature(logits: npt.NDArray[np.floating[Any]], targets: Targets) -> float:
    """Return the maximum-likelihood temperature, between 0.05 and 20.

    The likelihood is concave in 1/T. The bounds matter for a network without errors, whose best temperature
    is 0.

    Args:
        logits: Shape (N, K).
        targets: Shape (N,).
    """
    centred = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    own = centred[np.arange(len(targets)), targets]

    def loss(log_temperature: float) -> float:
        inverse = np.exp(-log_temperature)
        return float(np.mean(np.log(np.exp(centred * inverse).sum(axis=1)) - own * inverse))

    minimum = minimize_scalar(
        loss, bounds=(np.log(_LOWEST), np.log(_HIGHEST)), method="bounded", options={"xatol": 1e-6}
    )
    return float(np.exp(minimum.x))


def confidences(probabilities: Floats, targets: Targets) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Return the confidence of each prediction and whether it is correct, both (N,)."""
    return probabilities.max(axis=1), probabilities.argmax(axis=1) == targets


@dataclass(frozen=True, slots=True)
class Reliability:
    """Accuracy by confidence, in B bins of equal width without their lower edge.

    Attributes:
        images: Number of predictions in each bin, (B,).
        confidence: Their mean confidence; 0 in an empty bin; (B,).
        accuracy: Their accuracy; 0 in an empty bin; (B,).
    """

    images: npt.NDArray[np.int64]
    confidence: Floats
    accuracy: Floats

    @property
    def error(self) -> float:
        """Expected calibration error: the mean of |confidence − accuracy| over predictions."""
        gap = np.abs(self.confidence - self.accuracy)
        return float((self.images * gap).sum() / max(int(self.images.sum()), 1))


def reliability(probabilities: Floats, targets: Targets, bins: int = BINS) -> Reliability:
    """Bin predictions by confidence.

    Args:
        probabilities: Shape (N, K).
        targets: Shape (N,).
        bins: Number of bins, B.
    """
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
    """Return the mean squared distance from the one-hot target, between 0 and 2 (Brier 1950)."""
    return float(brier_terms(probabilities, targets).mean())


def brier_terms(probabilities: Floats, targets: Targets) -> Floats:
    """Return the Brier score of each image, (N,)."""
    own = probabilities[np.arange(len(targets)), targets]
    terms: Floats = (probabilities**2).sum(axis=1) - 2 * own + 1
    return terms


@dataclass(frozen=True, slots=True)
class RiskCoverage:
    """The risk-coverage curve of a classifier that abstains below a threshold (El-Yaniv and Wiener 2010).

    Attributes:
        threshold: The M distinct confidences, descending, (M,).
        coverage: Fraction of images with a confidence of at least the threshold, (M,).
        precision: Fraction of these that are predicted correctly, (M,).
        area: Area under the curve of risk over coverage (AURC): lower is better.
    """

    threshold: Floats
    coverage: Floats
    precision: Floats
    area: float


def risk_coverage(confidence: Floats, correct: npt.NDArray[np.bool_]) -> RiskCoverage:
    """Return the risk-coverage curve.

    Args:
        confidence: Shape (N,), N at least 1.
        correct: Whether each prediction is correct, (N,).
    """
    order = np.argsort(-confidence, kind="stable")
    ranked = confidence[order]
    covered = np.arange(1, len(ranked) + 1)
    precision = np.cumsum(correct[order]) / covered
    # predictions of equal confidence are made or withheld together
    last = np.append(ranked[1:] != ranked[:-1], True)
    return RiskCoverage(
        ranked[last], covered[last] / len(ranked), precision[last], float(np.mean(1 - precision))
    )


def threshold_for(
    confidence: Floats, correct: npt.NDArray[np.bool_], target_precision: float, *, least: int = 20
) -> float | None:
    """Return the lowest confidence threshold that reaches the target precision.

    Args:
        confidence: Shape (N,).
        correct: Whether each prediction is correct, (N,).
        target_precision: Between 0 and 1.
        least: Thresholds that leave fewer predictions are not considered.

    Returns:
        The threshold; None if none reaches it.
    """
    if not len(confidence):
        return None
    curve = risk_coverage(confidence, correct)
    enough = curve.coverage * len(confidence) >= min(least, len(confidence)) - 0.5
    reached = np.flatnonzero((curve.precision >= target_precision) & enough)
    return float(curve.threshold[reached[-1]]) if len(reached) else None
