"""Force a final validation when a run stops in mid-epoch."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback


class LastValidation(Callback):
    """Stops a run after a number of steps, and validates in its last epoch even if no validation is due.

    Lightning stops in mid-epoch without validating, and validates only every ``check_val_every_n_epoch``
    epochs: no checkpoint would contain the last steps, and a shorter run would have no checkpoint at all.

    Attributes:
        steps: Optimizer steps after which to stop; None stops at ``max_epochs``.
    """

    def __init__(self) -> None:
        self.steps: int | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take no further step if the resumed run has taken all."""
        if self._reached(trainer):
            trainer.should_stop = True

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Enable validation in the last epoch."""
        if trainer.current_epoch + 1 == trainer.max_epochs:
            trainer.check_val_every_n_epoch = 1

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop after the last step, which triggers a validation."""
        if self._reached(trainer):
            trainer.check_val_every_n_epoch = 1
            trainer.should_stop = True

    def _reached(self, trainer: pl.Trainer) -> bool:
        return self.steps is not None and trainer.global_step >= self.steps
