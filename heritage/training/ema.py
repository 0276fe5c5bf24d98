"""Exponential moving average of the weights: evaluated, saved, and tested instead of the last ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import WeightAveraging
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from heritage.config.types import Count, Fraction, Natural


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
    """

    def __init__(self, decay: Fraction, every_n_steps: Count, from_step: Natural) -> None:
        # Lightning's own EMA goes weight by weight, and rounds even where nothing changes.
        super().__init__(use_buffers=True, multi_avg_fn=_averaging(decay))
        self._every = every_n_steps
        self._from = from_step

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        """Say whether a step, counted from 0, is averaged; ends of epochs are not."""
        return step_idx is not None and step_idx >= self._from and step_idx % self._every == 0

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the count of updates with the host: torch asks for it at each step, waiting for a GPU."""
        self._average.n_averaged = self._average.n_averaged.cpu()

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the average in place of the weights."""
        self._follow(pl_module)
        super().on_validation_epoch_start(trainer, pl_module)

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


def _averaging(decay: float) -> Callable[[Sequence[Tensor], Sequence[Tensor], Tensor | int], None]:
    # one kernel for all tensors of a type
    interpolate = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]

    def update(averages: Sequence[Tensor], current: Sequence[Tensor], count: Tensor | int) -> None:
        if averages[0].is_floating_point():
            interpolate(averages, current, count)
            return
        for average, now in zip(averages, current, strict=True):  # counts have no average
            average.copy_(now)

    return update
