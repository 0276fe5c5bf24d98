"""The schedule axis of `balance`: when a remedy starts to act."""

from __future__ import annotations

from typing import Annotated, Any

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
        start: The part of the run's steps after which they act; the paper's is 0.8.
    """

    def __init__(self, start: Share) -> None:
        self.start = start

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Turn the weights on, if it is time.

        Steps are counted and not epochs, which balancing can make of different lengths: in a run of three
        epochs none begins in its last fifth. A run that is resumed has nothing to remember.
        """
        _loss(pl_module).weighted = trainer.global_step >= self.start * int(pl_module.total_steps)  # type: ignore[arg-type]

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the loss as it was built."""
        _loss(pl_module).weighted = True


def require_weights(schedule: DeferredWeighting | None, loss: ClassLoss) -> None:
    """Refuse a schedule that has nothing to defer.

    Raises:
        ConfigError: There are no class weights.
    """
    if schedule is not None and loss.weights is None:
        raise ConfigError(
            "there are no class weights to defer",
            where="balance.schedule",
            remedy="add balance/weighting=inverse, or balance/schedule=none",
        )


def require_lasting_counts(proportionate: bool, loss: ClassLoss, *, counted: bool) -> None:
    """Refuse a loss that goes by the first epoch's class counts where sampling changes them on the way.

    Args:
        proportionate: Whether all epochs show the classes in the first one's proportions.
        loss: The run's loss.
        counted: Whether class weights, where there are some, go by counts; those chosen by hand do not.

    Raises:
        ConfigError: Both are chosen: what the sampling has balanced would be corrected twice.
    """
    weighed = counted and loss.weights is not None
    if proportionate or not (weighed or loss.counts_classes):
        return
    raise ConfigError(
        "class weights and losses by class counts know the first epoch alone, and this sampling changes",
        where="balance",
        remedy="use balance/weighting=none or by_hand with balance/loss=cross_entropy or focal, or another "
        "sampling",
    )


def no_schedule() -> None:
    """Let everything act from the start."""


def _loss(pl_module: pl.LightningModule) -> ClassLoss:
    loss = pl_module.criterion
    if not isinstance(loss, ClassLoss):
        raise TypeError("only a ClassLoss has weights to defer")
    return loss
