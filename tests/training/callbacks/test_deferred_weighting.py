"""Deferred class weights."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch.utils.data import DataLoader

from heritage.errors import ConfigError
from heritage.training.callbacks.deferred_weighting import DeferredWeighting, require_weights
from heritage.training.losses import CrossEntropy

COUNTS = {"a": 30, "b": 10}


class Tiny(pl.LightningModule):
    """A line through numbers, with a loss whose weights can be deferred."""

    def __init__(self, weights: np.ndarray | None, total_steps: int) -> None:
        super().__init__()
        self.net = torch.nn.Linear(1, 2)
        self.criterion = CrossEntropy(0.0, counts=COUNTS, weights=weights)
        self.total_steps = total_steps

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        loss: torch.Tensor = self.criterion(self.net(batch), torch.zeros(len(batch), dtype=torch.int64))
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.net.parameters(), lr=0.1)


class Shrinking(Tiny):
    """Epochs of 6, 3 and 1 steps."""

    def train_dataloader(self) -> DataLoader[torch.Tensor]:
        steps = (6, 3, 1)[self.current_epoch]
        return DataLoader(torch.randn(steps, 1))  # type: ignore[arg-type]


class Saving(Callback):
    """Writes a checkpoint after so many steps, and after each epoch."""

    def __init__(self, folder: Path, step: int) -> None:
        self.folder, self.step = folder, step

    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        if trainer.global_step == self.step:
            trainer.save_checkpoint(self.folder / "step.ckpt")

    def on_train_epoch_end(self, trainer: pl.Trainer, *_: object) -> None:
        trainer.save_checkpoint(self.folder / f"epoch{trainer.current_epoch}.ckpt")


class Notes(Callback):
    """Notes for each step whether weights act."""

    def __init__(self) -> None:
        self.weighted: list[bool] = []

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: object) -> None:
        assert isinstance(pl_module, Tiny)
        self.weighted.append(pl_module.criterion.weights_active)


def fit(weights: np.ndarray | None, start: float, tmp_path: Path, *, epochs: int = 5) -> list[bool]:
    """Ten steps, in so many epochs."""
    notes = Notes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning advises more workers for four numbers, and srun
        trainer = pl.Trainer(
            max_epochs=epochs, accelerator="cpu", logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False, default_root_dir=tmp_path,
            callbacks=[DeferredWeighting(start), notes],
        )  # fmt: skip
        trainer.fit(Tiny(weights, 10), DataLoader(torch.randn(10 // epochs, 1)))  # type: ignore[arg-type]
    return notes.weighted


@pytest.mark.parametrize(("start", "before"), [(0.8, 8), (0.5, 5), (0.95, 10)])
def test_weights_are_applied_after_their_step(tmp_path: Path, start: float, before: int) -> None:
    assert fit(np.array([1.0, 3.0]), start, tmp_path) == [False] * before + [True] * (10 - before)


def test_weights_are_applied_in_a_run_of_one_epoch(tmp_path: Path) -> None:
    assert fit(np.array([1.0, 3.0]), 0.8, tmp_path, epochs=1) == [False] * 8 + [True] * 2


def test_a_resumed_run_applies_weights_from_the_same_step(tmp_path: Path) -> None:
    def run(checkpoint: Path | None) -> list[bool]:
        notes = Notes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trainer = pl.Trainer(
                max_epochs=3, accelerator="cpu", logger=False, enable_checkpointing=False,
                enable_progress_bar=False, enable_model_summary=False, default_root_dir=tmp_path,
                reload_dataloaders_every_n_epochs=1,
                callbacks=[DeferredWeighting(0.7), notes, Saving(tmp_path, 8)],
            )  # fmt: skip
            trainer.fit(Shrinking(np.array([1.0, 3.0]), 10), ckpt_path=checkpoint, weights_only=True)
        return notes.weighted

    whole = run(None)
    assert whole == [False] * 7 + [True] * 3, "7 of 10 steps are taken in mid-epoch"
    assert run(tmp_path / "epoch1.ckpt") == [True]
    assert run(tmp_path / "step.ckpt") == whole[8:]


def test_a_schedule_without_weights_is_refused() -> None:
    with pytest.raises(ConfigError, match="no class weights to defer"):
        require_weights(DeferredWeighting(0.8), CrossEntropy(0.0, counts=COUNTS, weights=None))


def test_inactive_weights_have_no_effect() -> None:
    logits, targets = torch.randn(8, 2), torch.arange(8) % 2
    loss = CrossEntropy(0.1, counts=COUNTS, weights=np.array([1.0, 3.0]))
    loss.weights_active = False
    plain = CrossEntropy(0.1, counts=COUNTS, weights=None)
    assert loss(logits, targets).item() == plain(logits, targets).item()
