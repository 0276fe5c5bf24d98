"""Losses against independent computations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss
from torch.nn import functional

import heritage
from heritage.core.taxonomy import CLASSES
from heritage.errors import ConfigError
from heritage.models.heads import CosineHead
from heritage.training.losses import (
    ClassLoss,
    CrossEntropy,
    Focal,
    LabelDistributionAwareMargin,
    LogitAdjusted,
)

LOGITS = torch.randn(64, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
TARGETS = torch.arange(64) % 6
SHARES = torch.nn.functional.one_hot(TARGETS, 6).double()
WEIGHTS = np.array([0.5, 1.0, 2.0, 0.8, 4.0, 1.1])
COUNTS = dict(zip(CLASSES, (2129, 3824, 545, 1538, 393, 1775), strict=True))
EQUAL = dict.fromkeys(CLASSES, 50)


def cross_entropy(smoothing: float, weights: np.ndarray | None = None) -> CrossEntropy:
    return CrossEntropy(smoothing, counts=COUNTS, weights=weights)


def every_loss(smoothing: float = 0.0, weights: np.ndarray | None = None) -> list[ClassLoss]:
    return [
        cross_entropy(smoothing, weights),
        Focal(2.0, smoothing, counts=COUNTS, weights=weights),
        LogitAdjusted(1.0, smoothing, counts=COUNTS, weights=weights),
        LabelDistributionAwareMargin(0.5, 30.0, smoothing, counts=COUNTS, weights=weights),
    ]


def probabilities() -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return torch.softmax(LOGITS.float().double(), dim=1).numpy()


def test_plain_cross_entropy_is_scikit_learns_log_loss() -> None:
    expected = log_loss(TARGETS.numpy(), probabilities(), labels=range(6))
    assert cross_entropy(0.0)(LOGITS, TARGETS).item() == pytest.approx(expected, abs=1e-6)


def test_weights_are_sample_weights() -> None:
    expected = log_loss(
        TARGETS.numpy(), probabilities(), labels=range(6), sample_weight=WEIGHTS[TARGETS.numpy()]
    )
    assert cross_entropy(0.0, WEIGHTS)(LOGITS, TARGETS).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("which", range(4))
def test_hard_and_one_hot_targets_give_the_same_loss(which: int, weights: np.ndarray | None) -> None:
    loss = every_loss(0.1, weights)[which]
    assert loss(LOGITS, SHARES.float()).item() == pytest.approx(loss(LOGITS, TARGETS).item(), rel=1e-6)


@pytest.mark.parametrize("which", range(4))
def test_the_loss_of_mixed_targets_is_the_mixture_of_losses(which: int) -> None:
    loss = every_loss()[which]
    other = TARGETS.flip(0)
    mixed = 0.3 * SHARES + 0.7 * SHARES.flip(0)
    expected = 0.3 * loss(LOGITS, TARGETS) + 0.7 * loss(LOGITS, other)
    assert loss(LOGITS, mixed.float()).item() == pytest.approx(expected.item(), rel=1e-5)


def test_weights_and_smoothing_equal_torch() -> None:
    for weights in (None, WEIGHTS):
        tensor = None if weights is None else torch.tensor(weights, dtype=torch.float32)
        expected = torch.nn.functional.cross_entropy(LOGITS.float(), TARGETS, tensor, label_smoothing=0.1)
        assert cross_entropy(0.1, weights)(LOGITS, TARGETS).item() == pytest.approx(expected.item(), abs=1e-6)


def test_focal_follows_its_equation() -> None:
    p = probabilities()[np.arange(64), TARGETS.numpy()]
    for gamma in (0.5, 1.0, 2.0):
        expected = (-((1 - p) ** gamma) * np.log(p)).mean()
        loss = Focal(gamma, 0.0, counts=COUNTS, weights=None)
        assert loss(LOGITS, TARGETS).item() == pytest.approx(expected, rel=1e-5)


def test_focal_has_finite_gradients_for_confident_images() -> None:
    logits = torch.tensor([[80.0, 0.0, 0.0, 0.0, 0.0, 0.0]], requires_grad=True)
    Focal(0.5, 0.0, counts=COUNTS, weights=None)(logits, torch.tensor([0])).backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_balanced_softmax_follows_its_equation() -> None:
    # Ren et al. 2020, equation 4: n_y e^{z_y} / Σ n_k e^{z_k}
    n = np.array(list(COUNTS.values()), dtype=np.float64)
    powers = n * np.exp(LOGITS.numpy())
    expected = -np.log(powers[np.arange(64), TARGETS.numpy()] / powers.sum(axis=1)).mean()
    loss = LogitAdjusted(1.0, 0.0, counts=COUNTS, weights=None)
    assert loss(LOGITS, TARGETS).item() == pytest.approx(expected, rel=1e-6)


def test_logit_adjustment_equals_its_pairwise_form() -> None:
    # Menon et al. 2021, equation 11: log(1 + Σ_{k≠y} (π_k / π_y)^τ e^{z_k − z_y})
    n, z, tau = np.array(list(COUNTS.values()), dtype=np.float64), LOGITS.numpy(), 0.7
    costs = [
        np.log1p(sum((n[k] / n[y]) ** tau * np.exp(row[k] - row[y]) for k in range(6) if k != y))
        for row, y in zip(z, TARGETS.tolist(), strict=True)
    ]
    loss = LogitAdjusted(tau, 0.0, counts=COUNTS, weights=None)
    assert loss(LOGITS, TARGETS).item() == pytest.approx(np.mean(costs), rel=1e-6)


def test_ldam_follows_its_equation() -> None:
    # Cao et al. 2019, equations 10 to 12, image by image
    n, z, scale = np.array(list(COUNTS.values()), dtype=np.float64), LOGITS.numpy(), 3.0
    margins = 0.5 * (n.min() / n) ** 0.25
    costs = []
    for row, y in zip(z, TARGETS.tolist(), strict=True):
        true = np.exp(scale * (row[y] - margins[y]))
        others = sum(np.exp(scale * row[k]) for k in range(6) if k != y)
        costs.append(-np.log(true / (true + others)))
    loss = LabelDistributionAwareMargin(0.5, scale, 0.0, counts=COUNTS, weights=None)
    assert loss(LOGITS, TARGETS).item() == pytest.approx(np.mean(costs), rel=1e-6)
    assert loss.margins.max().item() == pytest.approx(0.5)
    assert loss.margins.argmax().item() == CLASSES.index("byzantium")


def test_ldam_on_a_cosine_classifier_is_the_papers() -> None:
    # the authors' code: NormedLinear, then cross entropy of s · (cos − Δ) with s = 30 and Δ of at most 0.5
    torch.manual_seed(0)
    head, features = CosineHead(16, 6), torch.randn(len(TARGETS), 16)
    cosines = functional.normalize(features) @ functional.normalize(head.weight).T
    n = torch.tensor(list(COUNTS.values()), dtype=torch.float32)
    margins = 0.5 * (1 / n**0.25) / (1 / n**0.25).max()
    own = functional.one_hot(TARGETS, 6).bool()
    expected = functional.cross_entropy(30 * torch.where(own, cosines - margins, cosines), TARGETS)
    loss = LabelDistributionAwareMargin(0.5, 1.0, 0.0, 30.0, counts=COUNTS, weights=None)
    torch.testing.assert_close(loss(head(features), TARGETS), expected)


def test_the_preset_is_the_papers_method() -> None:
    cfg = heritage.compose("train", balance="ldam_drw")
    assert (cfg.model.head, cfg.balance.loss.margin_scale, cfg.balance.loss.max_margin) == (
        "cosine",
        30.0,
        0.5,
    )
    assert cfg.balance.schedule._target_.endswith("DeferredWeighting")
    earlier = heritage.compose("train", balance="ldam_drw", model__head=None)
    assert (earlier.model.head, earlier.balance.loss.margin_scale) == (None, None)
    assert heritage.compose("train", balance="focal").model.head is None


@pytest.mark.parametrize(
    "limit",
    [
        Focal(0.0, 0.1, counts=COUNTS, weights=WEIGHTS),
        LogitAdjusted(0.0, 0.1, counts=COUNTS, weights=WEIGHTS),
        LogitAdjusted(1.0, 0.1, counts=EQUAL, weights=WEIGHTS),
        LabelDistributionAwareMargin(0.0, 1.0, 0.1, counts=COUNTS, weights=WEIGHTS),
    ],
    ids=["gamma 0", "tau 0", "equal counts", "margin 0"],
)
def test_limiting_cases_are_cross_entropy(limit: ClassLoss) -> None:
    expected = cross_entropy(0.1, WEIGHTS)(LOGITS, TARGETS).item()
    assert limit(LOGITS, TARGETS).item() == pytest.approx(expected, abs=1e-6)


def test_a_class_without_images_is_refused() -> None:
    with pytest.raises(ConfigError, match="no image of islam"):
        LogitAdjusted(1.0, 0.0, counts={**COUNTS, "islam": 0}, weights=None)


def test_label_smoothing_is_the_mixture_with_uniform_targets() -> None:
    smooth = cross_entropy(0.2)(LOGITS, TARGETS)
    mixture = cross_entropy(0.0)(LOGITS, (0.8 * SHARES + 0.2 / 6).float())
    assert smooth.item() == pytest.approx(mixture.item(), abs=1e-6)


def test_equal_weights_change_nothing() -> None:
    assert cross_entropy(0.1, np.full(6, 3.0))(LOGITS, TARGETS).item() == pytest.approx(
        cross_entropy(0.1)(LOGITS, TARGETS).item(), abs=1e-6
    )
