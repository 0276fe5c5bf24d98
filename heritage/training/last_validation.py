"""A run that stops after a number of steps validates what it has become."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback


class LastValidation(Callback):
    """Lets the epoch in which a run reaches ``max_steps`` end like any other.

    Lightning leaves in mid-epoch without validating: the last steps would be in no checkpoint and, in a run
    shorter than an epoch, no step at all.
    """

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Ask for a stop, which validates, where Lightning would leave."""
        if 0 < trainer.max_steps <= trainer.global_step:
            trainer.should_stop = True
