"""Class frequencies other than those of validation: probabilities under another prior, and its estimation.

If only the frequencies of the classes differ between two sets of images, probabilities of the first become
those of the second by Bayes' rule: p'(k | x) ∝ p(k | x) · π'(k) / π(k) (Saerens, Latinne and Decaestecker,
"Adjusting the outputs of a classifier to new a priori probabilities", Neural Computation 2002, equation 4).
That needs the prior π for which p holds. A network that was trained with class weights, sampling or a
balanced loss has no prior that could be read from its counts, so offsets b(k) are fitted on validation: with
p ∝ exp(z / T + b), mean probabilities there equal class frequencies, and these are π (bias-corrected
temperature scaling: Alexandari, Kundaje and Shrikumar, ICML 2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize  # type: ignore[import-untyped]

from heritage.metrics.bootstrap import LEVEL, draws, group_codes
from heritage.metrics.calibration import (
    BINS,
    Calibration,
    Floats,
    HeldOut,
    Targets,
    confidences,
    fit_temperature,
    group_folds,
    softmax,
)

MIN_IMAGES = 30
"""Images from which a prior is estimated: of fewer, chance decides."""

RESAMPLES = 200
"""Resamples of groups for the interval of an estimate: each is an estimation."""

_RIDGE = 0.01  # keeps the offset of a class that no image has finite
_MOST = 20_000  # iterations


@dataclass(frozen=True, slots=True)
class PriorEstimate:
    """An estimated prior with percentile intervals of resampled groups.

    Attributes:
        shares: The prior, (K,).
        low: Lower bounds of 95 % intervals, (K,).
        high: Upper bounds, (K,).
    """

    shares: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, slots=True)
class PriorShift:
    """Calibrated probabilities under another prior.

    Attributes:
        factors: What calibrated probabilities are multiplied with before they are normalised, (K,).
        calibration: Threshold and calibration errors of validation images weighted to the prior.
    """

    factors: Floats
    calibration: Calibration

    def shift(self) -> Floats:
        """Return what is added to logits so that their calibrated probabilities are under the prior, (K,)."""
        shifted: Floats = self.calibration.temperature * np.log(self.factors)
        return shifted


def reweighted(probabilities: Floats, factors: Floats) -> Floats:
    """Return probabilities (N, K) multiplied with factors (K,) and normalised."""
    products = probabilities * factors
    normalised: Floats = products / products.sum(axis=1, keepdims=True)
    return normalised


def class_shares(targets: Targets, classes: int) -> Floats:
    """Return the frequency of each class, (K,)."""
    counts = np.bincount(targets, minlength=classes)
    shares: Floats = counts / counts.sum()
    return shares


def class_offsets(probabilities: Floats, targets: Targets) -> Floats:
    """Return the maximum-likelihood offsets b, (K,), of p ∝ probabilities · exp(b), with a mean of 0.

    At the maximum the mean probability of each class equals its frequency.

    Args:
        probabilities: Shape (N, K).
        targets: Shape (N,).
    """
    logs = np.log(np.maximum(probabilities, 1e-300))
    counts = np.bincount(targets, minlength=probabilities.shape[1]).astype(np.float64)

    def loss(offsets: Floats) -> tuple[float, Floats]:
        shifted = logs + offsets
        top = shifted.max(axis=1, keepdims=True)
        powers = np.exp(shifted - top)
        sums = powers.sum(axis=1, keepdims=True)
        value = float((np.log(sums) + top).sum() - counts @ offsets + _RIDGE * (offsets @ offsets) / 2)
        gradient: Floats = (powers / sums).sum(axis=0) - counts + _RIDGE * offsets
        return value, gradient

    start = np.zeros(probabilities.shape[1])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 500, "gtol": 1e-7})
    offsets: Floats = found.x - found.x.mean()
    return offsets


def prior_factors(probabilities: Floats, targets: Targets, prior: Floats, source: Floats) -> Floats:
    """Return the factors (K,) that bring calibrated probabilities of validation images to a prior.

    Args:
        probabilities: Calibrated probabilities of validation images, (N, K).
        targets: Their classes, (N,).
        prior: The class frequencies to predict for, (K,).
        source: The class frequencies of validation, all above 0, (K,).
    """
    factors: Floats = np.exp(class_offsets(probabilities, targets)) * prior / source
    normalised: Floats = factors / factors.sum()
    return normalised


def estimate_prior(
    probabilities: Floats, source: Floats, weights: Floats | None = None, start: Floats | None = None
) -> Floats:
    """Return the maximum-likelihood prior of images without labels, (K,) (Saerens et al. 2002, equation 9).

    Args:
        probabilities: For prior ``source``, (N, K).
        source: The prior of the probabilities, all above 0, (K,).
        weights: How often each image counts, (N,); None counts each once.
        start: Where the iteration starts; None starts at ``source``.
    """
    likelihoods = probabilities / source
    if weights is None:
        shares = np.full(len(probabilities), 1 / len(probabilities))
    else:  # images without weight may have no class that the prior still admits
        likelihoods, shares = likelihoods[weights > 0], weights[weights > 0] / weights.sum()
    prior = source if start is None else start
    tolerance = 1e-8 if start is None else 1e-6
    for _ in range(_MOST):
        products = likelihoods * prior
        updated: Floats = shares @ (products / products.sum(axis=1, keepdims=True))
        done = np.abs(updated - prior).max() < tolerance
        prior = updated
        if done:
            break
    return prior


def estimate_with_intervals(
    probabilities: Floats, source: Floats, groups: Sequence[str], *, seed: int = 0
) -> PriorEstimate:
    """Estimate a prior, with intervals of resampled groups.

    Args:
        probabilities: For prior ``source``, (N, K).
        source: The prior of the probabilities, (K,).
        groups: The group of each image, length N.
        seed: Random seed of the resamples.
    """
    shares = estimate_prior(probabilities, source)
    codes = group_codes(groups)
    # A share of exactly 0 would never grow again.
    start = (shares + 1e-3) / (shares + 1e-3).sum()
    resampled = np.array(
        [
            estimate_prior(probabilities, source, counts[codes], start)
            for block in draws(int(codes.max()) + 1, RESAMPLES, seed)
            for counts in block
        ]
    )
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return PriorEstimate(shares, low, high)


def shift_to_prior(
    calibration: Calibration,
    logits: npt.NDArray[np.floating[Any]],
    targets: Targets,
    groups: Sequence[str],
    prior: Floats,
) -> PriorShift:
    """Bring a calibration to another prior, by validation images weighted to its class frequencies.

    Args:
        calibration: The calibration that was fitted on these images.
        logits: Of the validation images, (N, K).
        targets: Their classes, (N,); each class has at least one.
        groups: Their groups, length N.
        prior: The class frequencies to predict for, (K,).
    """
    source = class_shares(targets, logits.shape[1])
    probabilities = calibration.apply(logits)
    factors = prior_factors(probabilities, targets, prior, source)
    weights = (prior / source)[targets]
    shifted = reweighted(probabilities, factors)
    confidence, correct = confidences(shifted, targets)
    shifted_calibration = replace(
        calibration,
        threshold=weighted_threshold(confidence, correct, weights, calibration.target_precision),
        ece_before=weighted_calibration_error(reweighted(softmax(logits), factors), targets, weights),
        ece_after=weighted_calibration_error(shifted, targets, weights),
        held_out=_held_out(logits, targets, groups, prior, source),
        sets=None,  # their coverage is promised for the frequencies of validation
    )
    return PriorShift(factors, shifted_calibration)


def _held_out(
    logits: npt.NDArray[np.floating[Any]],
    targets: Targets,
    groups: Sequence[str],
    prior: Floats,
    source: Floats,
) -> HeldOut | None:
    """Return the weighted errors where temperature and offsets are fitted on the other folds of groups."""
    fold = group_folds(groups)
    if fold is None:
        return None
    before, after = np.empty(logits.shape), np.empty(logits.shape)
    for number in range(int(fold.max()) + 1):
        held = fold == number
        temperature = fit_temperature(logits[~held], targets[~held])
        for errors, divisor in ((before, 1.0), (after, temperature)):
            fitted = softmax(logits[~held], divisor)
            factors = prior_factors(fitted, targets[~held], prior, source)
            errors[held] = reweighted(softmax(logits[held], divisor), factors)
    weights = (prior / source)[targets]
    return HeldOut(
        int(fold.max()) + 1,
        weighted_calibration_error(before, targets, weights),
        weighted_calibration_error(after, targets, weights),
    )


def weighted_threshold(
    confidence: Floats,
    correct: npt.NDArray[np.bool_],
    weights: Floats,
    target_precision: float,
    *,
    least: int = 20,
) -> float | None:
    """Return the lowest threshold whose weighted precision reaches the target; None if none does.

    Equal weights give that of `heritage.metrics.calibration.threshold_for`.

    Args:
        confidence: Shape (N,), N at least 1.
        correct: Whether each prediction is correct, (N,).
        weights: How often each image counts, (N,).
        target_precision: Between 0 and 1.
        least: Thresholds that leave fewer predictions are not considered.
    """
    order = np.argsort(-confidence, kind="stable")
    ranked = confidence[order]
    precision = np.cumsum((weights * correct)[order]) / np.cumsum(weights[order])
    last = np.append(ranked[1:] != ranked[:-1], True)  # equal confidences are made or withheld together
    enough = np.arange(1, len(ranked) + 1) >= min(least, len(ranked))
    reached = np.flatnonzero(last & enough & (precision >= target_precision - 1e-12))
    return float(ranked[reached[-1]]) if len(reached) else None


def weighted_calibration_error(
    probabilities: Floats, targets: Targets, weights: Floats, bins: int = BINS
) -> float:
    """Return the expected calibration error of images that count ``weights`` times, (N,)."""
    confidence, correct = confidences(probabilities, targets)
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    gaps = np.bincount(place, weights=weights * (confidence - correct), minlength=bins)
    return float(np.abs(gaps).sum() / weights.sum())
