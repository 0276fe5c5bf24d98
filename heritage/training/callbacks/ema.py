"""Exponential moving average of the weights, used for validation, checkpoints and testing."""

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
    """Averages weights and running statistics after each optimizer step (Polyak & Juditsky 1992).

    Validation uses the average and checkpoints store it, beside the raw weights that training continues
    with. The average of values that do not change (frozen weights, constants) is exactly these values.

    Args:
        decay: Decay rate of the average.
        every_n_steps: Steps between updates.
        from_step: First step to average; until then the average is a copy of the current weights.
        warmup: Use a smaller decay at first, (1 + n) / (10 + n) after n updates, until it reaches
            ``decay``. Without warm-up the average of a short run is dominated by the untrained network: at
            0.998 it has a third of the weight after 550 updates.
    """

    def __init__(
        self, decay: Fraction, every_n_steps: PositiveInt, from_step: NonNegativeInt, warmup: bool
    ) -> None:
        # Lightning's EMA updates weight by weight, and rounds values that do not change.
        super().__init__(use_buffers=True, multi_avg_fn=self._update)
        self._decay = decay
        self._every = every_n_steps
        self._from = from_step
        self._warmup = warmup

    def updates(self, steps: int) -> int:
        """Return the number of updates in a run of ``steps`` steps."""
        return sum(1 for step in range(steps) if self.should_update(step))

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        """Return whether to update after a step, counted from 0; never at the end of an epoch."""
        return step_idx is not None and step_idx >= self._from and step_idx % self._every == 0

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the update count on the CPU: torch reads it at each step, which would wait for the GPU."""
        self._average.n_averaged = self._average.n_averaged.cpu()

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Swap in the average; ``trainer.validate`` validates the module as it is."""
        if trainer.state.fn == TrainerFn.FITTING:
            self._sync(pl_module)
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
        """Copy the average to the network."""
        self._sync(pl_module)
        super().on_train_end(trainer, pl_module)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Store the average as ``state_dict`` and the weights beside it."""
        self._sync(pl_module)
        super().on_save_checkpoint(trainer, pl_module, checkpoint)

    def _sync(self, pl_module: pl.LightningModule) -> None:
        """Before the first update, copy the weights to the average, which has the initial ones until then."""
        if self._average_model is None or self._average.n_averaged:
            return
        module = self._average.module
        weights = chain(pl_module.parameters(), pl_module.buffers())
        for average, current in zip(chain(module.parameters(), module.buffers()), weights, strict=True):
            average.data.copy_(current.data)

    @property
    def _average(self) -> AveragedModel:
        if self._average_model is None:
            raise RuntimeError("the average exists only after fitting has begun")
        return self._average_model

    def _update(self, averages: Sequence[Tensor], current: Sequence[Tensor], _: Tensor | int) -> None:
        """Average tensors of one dtype; torch passes its update count on their device, ours is on the CPU."""
        if not averages[0].is_floating_point():  # integer buffers are copied
            for average, now in zip(averages, current, strict=True):
                average.copy_(now)
            return
        done = int(self._average.n_averaged)
        decay = min(self._decay, (1 + done) / (10 + done)) if self._warmup else self._decay
        # one fused kernel
        get_ema_multi_avg_fn(decay)(averages, current, done)  # type: ignore[no-untyped-call]
