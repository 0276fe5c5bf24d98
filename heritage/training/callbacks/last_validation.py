"""A run ends where it was told to, and validates what it has become."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback


class LastValidation(Callback):
    """Validates in the epoch in which a run ends, also where none is due or a number of steps cuts it short.

    Lightning leaves in mid-epoch without validating, and validates only every
    ``check_val_every_n_epoch`` epochs: the last steps would be in no checkpoint and, in a run shorter than
    that, no step at all.

    Attributes:
        steps: Optimiser steps after which the run ends; None leaves it to the epochs.
    """

    def __init__(self) -> None:
        self.steps: int | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take no further step where a resumed run has taken all."""
        if self._reached(trainer):
            trainer.should_stop = True

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Have the last epoch validated."""
        if trainer.current_epoch + 1 == trainer.max_epochs:
            trainer.check_val_every_n_epoch = 1

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Ask for a stop, which validates."""
        if self._reached(trainer):
            trainer.check_val_every_n_epoch = 1
            trainer.should_stop = True

    def _reached(self, trainer: pl.Trainer) -> bool:
        return self.steps is not None and trainer.global_step >= self.steps
