"""The schedule axis of `balance`: when a remedy starts to act."""

from __future__ import annotations

import math
from typing import Annotated

import pytorch_lightning as pl
from pydantic import Field
from pytorch_lightning.callbacks import Callback

from heritage.errors import ConfigError
from heritage.training.losses import ClassLoss

Share = Annotated[float, Field(gt=0, lt=1)]


class DeferredWeighting(Callback):
    """Lets class weights act in the last part of a run only (DRW: Cao et al. 2019, algorithm 1).

    Weights from the start disturb the features; late, they move the borders between classes alone.

    Args:
        start: The part of the run's steps after which they act, from the next epoch on; the paper's is 0.8.
    """

    def __init__(self, start: Share) -> None:
        self.start = start

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Look whether there is anything to defer.

        Raises:
            ConfigError: There are no class weights.
        """
        if _loss(pl_module).weights is None:
            raise ConfigError(
                "there are no class weights to defer",
                where="balance.schedule",
                remedy="add balance/weighting=inverse, or balance/schedule=none",
            )

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Choose; a run that goes on in mid-epoch has no start of an epoch."""
        self._choose(trainer, pl_module)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Turn the weights on, if it is time."""
        self._choose(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the loss as it was built."""
        _loss(pl_module).weighted = True

    def _choose(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        steps = int(pl_module.total_steps)  # type: ignore[arg-type]  # a number of our Classifier
        per_epoch = math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches)
        _loss(pl_module).weighted = trainer.current_epoch * per_epoch >= self.start * steps


def none() -> None:
    """Let everything act from the start."""


def _loss(pl_module: pl.LightningModule) -> ClassLoss:
    loss = pl_module.criterion
    if not isinstance(loss, ClassLoss):
        raise TypeError("only a ClassLoss has weights to defer")
    return loss
