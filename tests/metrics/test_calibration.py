"""Calibration against scikit-learn and torchmetrics, and ``calibration.json``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import brier_score_loss
from torchmetrics.functional.classification import multiclass_calibration_error

from heritage.errors import CheckpointError
from heritage.metrics.calibration import (
    brier_score,
    calibrate,
    calibration_error,
    confidences,
    fit_temperature,
    held_out_errors,
    risk_coverage,
    softmax,
    threshold_for,
)
from heritage.metrics.calibration_claim import calibration_claim
from heritage.runs.calibration import read_calibration, write_calibration
from heritage.runs.files import CALIBRATION_FILE

TRUE_TEMPERATURE = 2.5


@pytest.fixture(scope="module")
def predictions() -> tuple[np.ndarray, np.ndarray]:
    """Logits that are 2.5 times too large for the targets drawn from them."""
    random = np.random.default_rng(0)
    calibrated = random.normal(0, 2, (20_000, 6))
    shares = softmax(calibrated)
    targets = (shares.cumsum(axis=1) > random.random((20_000, 1))).argmax(axis=1)
    return (calibrated * TRUE_TEMPERATURE).astype(np.float32), targets


def test_the_true_temperature_is_fitted(predictions: tuple[np.ndarray, np.ndarray]) -> None:
    logits, targets = predictions
    assert fit_temperature(logits, targets) == pytest.approx(TRUE_TEMPERATURE, rel=0.03)
    groups = [str(row // 2) for row in range(len(targets))]
    result = calibrate(logits, targets, groups, target_precision=0.9, split="val", fingerprint="f")
    assert result.ece_after < 0.01 < 0.1 < result.ece_before
    assert result.fitted_on.groups == 10_000
    assert result.held_out is not None
    assert result.held_out.folds == 5
    assert result.held_out.ece_before == pytest.approx(result.ece_before)
    assert result.held_out.ece_after == pytest.approx(result.ece_after, abs=0.01)
    assert calibration_claim(result).calibrated


def test_the_calibration_error_is_measured_on_groups_that_the_temperature_has_not_seen() -> None:
    # two groups: what suits one is the worst for the other
    logits = np.array([[1.0, 0.0]] * 4)
    targets = np.array([0, 0, 1, 1])
    result = held_out_errors(logits, targets, ["a", "a", "b", "b"])
    assert result is not None
    assert result.folds == 2
    # without a temperature all four have confidence 0.731, and half are correct
    assert result.ece_before == pytest.approx(1 / (1 + np.exp(-1)) - 0.5, abs=1e-9)
    # b is predicted with the temperature of a, 0.05: confidence 1, all wrong; a with that of b, 20: 0.512
    after = (1.0 + (1 - 1 / (1 + np.exp(-1 / 20)))) / 2
    assert result.ece_after == pytest.approx(after, abs=1e-3)
    assert held_out_errors(logits, targets, ["a"] * 4) is None


def test_metrics_agree_with_scikit_learn_and_torchmetrics(predictions: tuple[np.ndarray, np.ndarray]) -> None:
    logits, targets = predictions
    probabilities = softmax(logits)
    np.testing.assert_allclose(
        probabilities, torch.from_numpy(logits).double().softmax(dim=1).numpy(), atol=1e-12
    )
    theirs = multiclass_calibration_error(
        torch.from_numpy(probabilities), torch.from_numpy(targets), num_classes=6, n_bins=15, norm="l1"
    )
    assert calibration_error(probabilities, targets) == pytest.approx(float(theirs), abs=1e-6)
    expected = brier_score_loss(targets, probabilities, labels=range(6), scale_by_half=False)
    assert brier_score(probabilities, targets) == pytest.approx(expected, abs=1e-12)


def test_a_threshold_reaches_the_target_precision(predictions: tuple[np.ndarray, np.ndarray]) -> None:
    logits, targets = predictions
    confidence, correct = confidences(softmax(logits, TRUE_TEMPERATURE), targets)
    threshold = threshold_for(confidence, correct, 0.9)
    assert threshold is not None
    given = confidence >= threshold
    assert correct[given].mean() >= 0.9
    lower = confidence >= np.sort(confidence)[-(given.sum() + 200)]
    assert correct[lower].mean() < 0.9
    wrong_at_the_top = np.append(confidence, 1.0), np.append(correct, np.zeros(1, bool))
    assert threshold_for(*wrong_at_the_top, 1.0) is None
    assert threshold_for(np.ones(5), np.zeros(5, bool), 0.5) is None


def test_predictions_of_equal_confidence_are_covered_together() -> None:
    curve = risk_coverage(np.array([0.9, 0.9, 0.5, 0.5]), np.array([True, False, True, True]))
    assert curve.threshold.tolist() == [0.9, 0.5]
    assert curve.coverage.tolist() == [0.5, 1.0]
    assert curve.precision.tolist() == [0.5, 0.75]


def test_a_calibration_is_read_as_it_was_written(
    predictions: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    logits, targets = predictions
    assert read_calibration(tmp_path) is None
    result = calibrate(
        logits, targets, ["one"] * len(targets), target_precision=0.95, split="val", fingerprint="abc"
    )
    write_calibration(result, tmp_path)
    assert read_calibration(tmp_path) == result
    stored = json.loads((tmp_path / CALIBRATION_FILE).read_text())
    assert stored["fitted_on"] == {"split": "val", "images": 20_000, "fingerprint": "abc", "groups": 1}
    np.testing.assert_allclose(result.apply(logits), softmax(logits, result.temperature))
    for damaged in ("{", "{}", json.dumps(stored | {"temperature": 0})):
        (tmp_path / CALIBRATION_FILE).write_text(damaged)
        with pytest.raises(CheckpointError, match="heritage evaluate"):
            read_calibration(tmp_path)
