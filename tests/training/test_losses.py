"""Losses against independent computations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from heritage.training.losses import CrossEntropy

LOGITS = torch.randn(64, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
TARGETS = torch.arange(64) % 6
SHARES = torch.nn.functional.one_hot(TARGETS, 6).double()
WEIGHTS = np.array([0.5, 1.0, 2.0, 0.8, 4.0, 1.1])


def probabilities() -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return torch.softmax(LOGITS.float().double(), dim=1).numpy()


def test_plain_cross_entropy_is_scikit_learns_log_loss() -> None:
    expected = log_loss(TARGETS.numpy(), probabilities(), labels=range(6))
    assert CrossEntropy(0.0, None)(LOGITS, TARGETS).item() == pytest.approx(expected, abs=1e-6)


def test_weights_are_sample_weights() -> None:
    expected = log_loss(
        TARGETS.numpy(), probabilities(), labels=range(6), sample_weight=WEIGHTS[TARGETS.numpy()]
    )
    assert CrossEntropy(0.0, WEIGHTS)(LOGITS, TARGETS).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_hard_targets_and_their_shares_give_the_same_loss(weights: np.ndarray | None) -> None:
    loss = CrossEntropy(0.0, weights)
    assert loss(LOGITS, SHARES.float()).item() == pytest.approx(loss(LOGITS, TARGETS).item(), abs=1e-6)


def test_label_smoothing_is_the_mixture_with_uniform_targets() -> None:
    smooth = CrossEntropy(0.2, None)(LOGITS, TARGETS)
    mixture = CrossEntropy(0.0, None)(LOGITS, (0.8 * SHARES + 0.2 / 6).float())
    assert smooth.item() == pytest.approx(mixture.item(), abs=1e-6)


def test_equal_weights_change_nothing() -> None:
    assert CrossEntropy(0.1, np.full(6, 3.0))(LOGITS, TARGETS).item() == pytest.approx(
        CrossEntropy(0.1, None)(LOGITS, TARGETS).item(), abs=1e-6
    )
