"""The moving average: what is saved before it starts, what it must not change, and where it lives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from heritage.training.callbacks.ema import Ema
from tests.conftest import Command


def last(folder: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    return state


def differing(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> set[str]:
    return {name for name in one if not torch.equal(one[name], two[name])}


def test_before_its_first_step_the_average_equals_the_network(
    heritage: Command, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    done = heritage(
        "train", *tiny, f"hydra.run.dir={folder}", "callbacks=ema", "callbacks.ema.from_step=1000"
    )
    assert done.code == 0, done.err
    for name in ("last.ckpt", "best.ckpt"):
        state = torch.load(folder / "checkpoints" / name, weights_only=True)
        assert not differing(state["state_dict"], state["current_model_state"]), name
    assert last(folder)["averaging_state"]["n_averaged"] == 0


def test_frozen_weights_are_averaged_exactly(
    heritage: Command, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    words = ("callbacks=ema", "callbacks.ema.decay=0.9", "finetune=head", "trainer.max_epochs=4")
    done = heritage("train", *tiny, f"hydra.run.dir={folder}", *words)
    assert done.code == 0, done.err
    state = last(folder)
    moved = differing(state["state_dict"], state["current_model_state"])
    assert moved == {"net.fc.weight", "net.fc.bias"}


@pytest.mark.parametrize("warmup", [False, True])
def test_the_average_is_exponential_over_the_chosen_steps(warmup: bool) -> None:
    module = Module()
    ema = Ema(decay=0.25, every_n_steps=2, from_step=2, warmup=warmup)
    ema.setup(ANY, module, "fit")
    ema.on_fit_start(ANY, module)
    expected = torch.zeros(2)
    for step in range(9):
        with torch.no_grad():
            module.net.bias.fill_(step + 1.0)
        if step == 2:
            expected = module.net.bias.detach().clone()
        elif step in (4, 6, 8):
            decay = 2 / 11 if warmup and step == 4 else 0.25
            expected = decay * expected + (1 - decay) * module.net.bias.detach()
        ema.on_train_batch_end(at(step + 1), module, None, None, step)
    ema.on_train_end(ANY, module)
    torch.testing.assert_close(module.net.bias.detach(), expected)


def test_an_average_of_few_steps_is_warned_of(
    heritage: Command, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    words = ("callbacks=ema", "callbacks.ema.every_n_steps=100", "trainer.fast_dev_run=true")
    assert "takes in" not in heritage("train", *tiny, *words).out, "no warning in a dry run"
    done = heritage("train", *tiny, *words[:-1])
    assert "takes in 1 of the run's" in done.out


class Module(pl.LightningModule):
    """As much of a module as an average needs."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(3, 2)


ANY: Any = None


def at(step: int) -> Any:
    from types import SimpleNamespace

    return SimpleNamespace(global_step=step)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)
