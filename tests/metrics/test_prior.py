"""Probabilities under other class frequencies, and their estimation."""

from __future__ import annotations

import numpy as np
import pytest

from heritage.metrics.calibration import calibrate, calibration_error, confidences, softmax, threshold_for
from heritage.metrics.prior import (
    class_offsets,
    class_shares,
    estimate_prior,
    estimate_with_intervals,
    prior_factors,
    reweighted,
    shift_to_prior,
    weighted_calibration_error,
    weighted_threshold,
)

MEANS = np.array([[0.0, 0.0], [1.6, 0.0], [0.0, 1.6]])


def sample(prior: list[float], images: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return points of three normal distributions and their classes, drawn by a prior."""
    random = np.random.default_rng(seed)
    targets = random.choice(3, size=images, p=prior)
    return MEANS[targets] + random.normal(size=(images, 2)), targets


def log_posterior(points: np.ndarray, prior: list[float]) -> np.ndarray:
    """Return the logits of Bayes' rule for a prior."""
    distance = ((points[:, None] - MEANS) ** 2).sum(axis=2)
    logits: np.ndarray = np.log(prior) - distance / 2
    return logits


def test_bayes_rule_moves_probabilities_to_another_prior() -> None:
    # likelihoods 0.9 : 0.1 of two equally frequent classes; with a prior of 0.2 : 0.8 they are 0.18 : 0.08
    moved = reweighted(np.array([[0.9, 0.1]]), np.array([0.2, 0.8]) / 0.5)
    np.testing.assert_allclose(moved, [[0.18 / 0.26, 0.08 / 0.26]])
    points, _ = sample([1 / 3] * 3, 50, 0)
    before, after = [0.7, 0.2, 0.1], [0.1, 0.3, 0.6]
    moved = reweighted(softmax(log_posterior(points, before)), np.array(after) / before)
    np.testing.assert_allclose(moved, softmax(log_posterior(points, after)), atol=1e-12)


def test_one_step_of_the_estimate_is_that_of_the_paper_and_the_end_is_a_fixed_point() -> None:
    # Two images with posteriors (0.8, 0.2) and (0.4, 0.6) at a prior of (0.5, 0.5): the likelihood
    # (0.8 q + 0.2 (1 - q)) (0.4 q + 0.6 (1 - q)) = (0.2 + 0.6 q) (0.6 - 0.2 q) is largest at q = 1, where its
    # derivative 0.32 - 0.24 q is still positive; with a third image like the second, at the root below.
    probabilities, source = np.array([[0.8, 0.2], [0.4, 0.6], [0.4, 0.6]]), np.array([0.5, 0.5])
    estimate = estimate_prior(probabilities, source)
    # d/dq [log(0.2 + 0.6 q) + 2 log(0.6 - 0.2 q)] = 0  <=>  0.6 (0.6 - 0.2 q) = 0.4 (0.2 + 0.6 q)
    right = (0.36 - 0.08) / (0.12 + 0.24)
    np.testing.assert_allclose(estimate, [right, 1 - right], atol=1e-6)
    np.testing.assert_allclose(reweighted(probabilities, estimate / source).mean(axis=0), estimate, atol=1e-6)
    weighted = estimate_prior(probabilities[:2], source, np.array([1.0, 2.0]))
    np.testing.assert_allclose(weighted, estimate, atol=1e-6)


def test_a_simulated_shift_is_estimated_and_its_interval_covers_it() -> None:
    points, _ = sample([0.1, 0.3, 0.6], 4000, 1)
    probabilities = softmax(log_posterior(points, [0.7, 0.2, 0.1]))
    groups = [str(number // 2) for number in range(4000)]
    found = estimate_with_intervals(probabilities, np.array([0.7, 0.2, 0.1]), groups)
    np.testing.assert_allclose(found.shares, [0.1, 0.3, 0.6], atol=0.03)
    assert found.shares.sum() == pytest.approx(1)
    assert (found.low < found.shares).all()
    assert (found.shares < found.high).all()
    assert (found.low < [0.1, 0.3, 0.6]).all()
    assert (found.high > [0.1, 0.3, 0.6]).all()


def test_offsets_find_the_prior_of_a_balanced_network() -> None:
    """A network of a balanced loss predicts as for equal frequencies, whatever its training counts."""
    prior = [0.7, 0.2, 0.1]
    points, targets = sample(prior, 20_000, 2)
    balanced = softmax(log_posterior(points, [1 / 3] * 3))
    offsets = class_offsets(balanced, targets)
    np.testing.assert_allclose(offsets - offsets[0], np.log(prior) - np.log(prior[0]), atol=0.1)
    mean = reweighted(balanced, np.exp(offsets)).mean(axis=0)
    np.testing.assert_allclose(mean, class_shares(targets, 3), atol=1e-4)
    # a network of equal frequencies needs no change for equal frequencies
    factors = prior_factors(balanced, targets, np.full(3, 1 / 3), class_shares(targets, 3))
    np.testing.assert_allclose(factors, 1 / 3, atol=0.03)


def test_a_class_without_images_has_a_finite_offset() -> None:
    offsets = class_offsets(np.full((50, 3), 1 / 3), np.repeat([0, 1], 25))
    assert np.isfinite(offsets).all()
    assert offsets[2] < offsets[0] - 3


def test_the_threshold_under_a_prior_is_that_of_images_drawn_by_it() -> None:
    source, prior = [0.7, 0.2, 0.1], [0.1, 0.3, 0.6]
    points, targets = sample(source, 30_000, 3)
    groups = [str(number) for number in range(len(targets))]
    logits = 2 * log_posterior(points, source)
    fitted = calibrate(logits, targets, groups, target_precision=0.9, split="val", fingerprint="x")
    shifted = shift_to_prior(fitted, logits, targets, groups, np.array(prior))
    other_points, other_targets = sample(prior, 30_000, 4)
    right = softmax(log_posterior(other_points, prior))
    threshold = threshold_for(*confidences(right, other_targets), 0.9)
    assert threshold is not None
    assert shifted.calibration.threshold == pytest.approx(threshold, abs=0.02)
    assert fitted.threshold is not None
    assert abs(fitted.threshold - threshold) > 0.02, "the threshold of validation would do"
    moved = reweighted(softmax(2 * log_posterior(other_points, source), fitted.temperature), shifted.factors)
    np.testing.assert_allclose(moved, right, atol=0.03)
    by_logits = softmax(2 * log_posterior(other_points, source) + shifted.shift(), fitted.temperature)
    np.testing.assert_allclose(by_logits, moved, atol=1e-9)
    assert shifted.calibration.held_out is not None
    assert shifted.calibration.held_out.ece_after < 0.03 < shifted.calibration.held_out.ece_before


def test_equal_weights_change_neither_threshold_nor_error() -> None:
    points, targets = sample([0.5, 0.3, 0.2], 500, 5)
    probabilities = softmax(log_posterior(points, [0.5, 0.3, 0.2]))
    confidence, correct = confidences(probabilities, targets)
    ones = np.full(len(targets), 3.0)
    for precision in (0.6, 0.8, 0.9, 1.0):
        assert weighted_threshold(confidence, correct, ones, precision) == threshold_for(
            confidence, correct, precision
        )
    assert weighted_calibration_error(probabilities, targets, ones) == pytest.approx(
        calibration_error(probabilities, targets)
    )


def test_images_without_weight_do_not_count_in_an_estimate() -> None:
    probabilities = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    found = estimate_prior(
        probabilities, np.array([0.5, 0.5]), np.array([0.0, 1.0, 1.0]), np.array([0.0, 1.0])
    )
    np.testing.assert_allclose(found, [0, 1], atol=1e-6)
