"""Exponential moving average of the weights: evaluated, saved, and tested instead of the last ones."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import WeightAveraging
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from heritage.core.types import Fraction, NonNegativeInt, PositiveInt


class Ema(WeightAveraging):
    """Averages weights and running statistics after each optimiser step (Polyak & Juditsky 1992).

    Validation and checkpoints see the average; training goes on with the weights themselves, which
    the checkpoint keeps beside it. What does not change (frozen weights, constants) is averaged to itself,
    bit for bit.

    Args:
        decay: What the average keeps of itself at each update.
        every_n_steps: Steps between updates.
        from_step: The first step to average; what came before is forgotten. Until then the average is the
            network as it is.
        warmup: Keep less of the average at first: (1 + n) / (10 + n) after n updates, until that reaches
            ``decay``. Else a short run's average is mostly the untrained network it began with: at 0.998 a
            third of it after 550 updates.
    """

    def __init__(
        self, decay: Fraction, every_n_steps: PositiveInt, from_step: NonNegativeInt, warmup: bool
    ) -> None:
        # Lightning's own EMA goes weight by weight, and rounds even where nothing changes.
        super().__init__(use_buffers=True, multi_avg_fn=self._update)
        self._decay = decay
        self._every = every_n_steps
        self._from = from_step
        self._warmup = warmup

    def updates(self, steps: int) -> int:
        """Return how many of a run's steps are averaged."""
        return sum(1 for step in range(steps) if self.should_update(step))

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        """Say whether a step, counted from 0, is averaged; ends of epochs are not."""
        return step_idx is not None and step_idx >= self._from and step_idx % self._every == 0

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the count of updates with the host: torch asks for it at each step, waiting for a GPU."""
        self._average.n_averaged = self._average.n_averaged.cpu()

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Swap in the average; ``trainer.validate`` validates the module as it is."""
        if trainer.state.fn == TrainerFn.FITTING:
            self._follow(pl_module)
            super().on_validation_epoch_start(trainer, pl_module)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Swap the weights back in."""
        if trainer.state.fn == TrainerFn.FITTING:
            super().on_validation_epoch_end(trainer, pl_module)

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Restore weights and average of a resumed run.

        Testing and validation use the ``state_dict``, which is the average.
        """
        if trainer.state.fn == TrainerFn.FITTING:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the network with the average."""
        self._follow(pl_module)
        super().on_train_end(trainer, pl_module)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Put the average beside the weights."""
        self._follow(pl_module)
        super().on_save_checkpoint(trainer, pl_module, checkpoint)

    def _follow(self, pl_module: pl.LightningModule) -> None:
        """Before the first update, when Lightning would show the network as it was at the start."""
        if self._average_model is None or self._average.n_averaged:
            return
        module = self._average.module
        theirs = chain(pl_module.parameters(), pl_module.buffers())
        for average, current in zip(chain(module.parameters(), module.buffers()), theirs, strict=True):
            average.data.copy_(current.data)

    @property
    def _average(self) -> AveragedModel:
        if self._average_model is None:
            raise RuntimeError("the average is made when fitting begins")
        return self._average_model

    def _update(self, averages: Sequence[Tensor], current: Sequence[Tensor], _: Tensor | int) -> None:
        """Average tensors of one type; the count that torch hands over lies on their device, ours here."""
        if not averages[0].is_floating_point():  # counts have no average
            for average, now in zip(averages, current, strict=True):
                average.copy_(now)
            return
        done = int(self._average.n_averaged)
        decay = min(self._decay, (1 + done) / (10 + done)) if self._warmup else self._decay
        # one kernel for all
        get_ema_multi_avg_fn(decay)(averages, current, done)  # type: ignore[no-untyped-call]
