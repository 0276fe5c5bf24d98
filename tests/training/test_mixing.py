"""Mixing keeps targets and pixels consistent, and is reproducible by seed."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from heritage.training.mixing import Mixing


def batch(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    # Each image is its own number everywhere, so the mixture shows its ratio.
    images = torch.arange(size, dtype=torch.float32).view(size, 1, 1, 1).expand(size, 3, 16, 16).clone()
    return images, torch.arange(size)


def seeded(mixing: Mixing, size: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.manual_seed(seed)
    return mixing(*batch(size), size)


@pytest.mark.parametrize("size", [6, 7])
@pytest.mark.parametrize(("mixup", "cutmix"), [(0.4, 0.0), (0.0, 1.0), (0.4, 1.0)])
def test_targets_are_the_fractions_of_the_pixels(size: int, mixup: float, cutmix: float) -> None:
    mixing = Mixing(mixup, cutmix, probability=1.0, switch=0.5, erase=0.0)
    for seed in range(20):
        images, shares = seeded(mixing, size, seed)
        assert shares.shape == (size, size)
        assert torch.allclose(shares.sum(dim=1), torch.ones(size))
        means = images.mean(dim=(1, 2, 3))
        assert torch.allclose(shares @ torch.arange(size, dtype=torch.float32), means, atol=1e-4)


def test_the_same_seed_repeats() -> None:
    mixing = Mixing(0.4, 1.0, probability=0.8, switch=0.5, erase=0.5)
    first, again, other = (seeded(mixing, 8, seed)[0] for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_probability_is_the_fraction_of_mixed_batches() -> None:
    mixing = Mixing(0.4, 0.0, probability=0.3, switch=0.5, erase=0.0)
    mixed = sum(seeded(mixing, 4, seed)[1].ndim == 2 for seed in range(300))
    assert mixed == pytest.approx(90, abs=25)


def test_erasing_affects_the_given_fraction() -> None:
    images, targets = batch(200)
    random.seed(0)
    changed, kept = Mixing(0.0, 0.0, probability=1.0, switch=0.5, erase=0.25)(images + 1, targets, 200)
    assert torch.equal(kept, targets)
    erased = int((changed == 0).flatten(1).any(dim=1).sum())
    assert erased == pytest.approx(50, abs=20)
