"""The learning-rate range test: rates, suggestion, errors."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from heritage.errors import TrainingError
from heritage.training.lr_finder import RangeTest, rising, rising_rate
from tests.conftest import Command


def finished(losses: list[float]) -> RangeTest:
    test = RangeTest()
    test.rates = [rising_rate(step) for step in range(len(losses))]
    test.losses = losses
    return test


def test_the_suggestion_is_the_steepest_decrease() -> None:
    steps = np.arange(100)
    losses = (2 - 1 / (1 + np.exp(-(steps - 60) / 4))).tolist()  # an S-shaped fall around step 60
    assert finished(losses).suggestion() == pytest.approx(rising_rate(60))
    assert finished([*losses[:90], math.nan]).suggestion() == pytest.approx(rising_rate(60))


@pytest.mark.parametrize("losses", [[1.0] * 100, [float(step) for step in range(100)], [1.0] * 5, []])
def test_a_loss_that_never_decreases_is_an_error(losses: list[float]) -> None:
    with pytest.raises(TrainingError, match="decreases at no learning rate"):
        finished(losses).suggestion()


def test_the_rate_increases_and_layers_keep_their_ratios() -> None:
    first, last = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([{"params": [first], "lr": 0.007}, {"params": [last], "lr": 0.01}])
    scheduler = rising(optimizer, 100)["scheduler"]
    for step in range(100):
        small, large = (group["lr"] for group in optimizer.param_groups)
        assert large == pytest.approx(rising_rate(step))
        assert small / large == pytest.approx(0.7)
        optimizer.step()
        scheduler.step()
    assert rising_rate(0) == pytest.approx(1e-6)
    assert rising_rate(99) == pytest.approx(1)


def test_fast_dev_run_is_refused(heritage: Command, tiny: tuple[str, ...]) -> None:
    done = heritage("train", *tiny, "lr_find=true", "trainer.fast_dev_run=true")
    assert done.code == 2
    assert done.err.splitlines()[-1].endswith("set trainer.fast_dev_run=false")


@pytest.mark.slow
def test_frozen_layers_stay_frozen_and_accumulated_batches_are_one_step(
    heritage: Command, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    words = ("lr_find=true", "finetune=gradual", "callbacks=ema", "trainer.accumulate_grad_batches=2",
             "optimizer.layer_decay=0.7", "model=vit", "model.depth=1")  # fmt: skip
    done = heritage("train", *tiny, *words)
    assert done.code == 0, done.err
    assert "suggested learning rate: optimizer.lr=" in done.out
    assert not list(tmp_path.glob("outputs/train/*/*/checkpoints"))
