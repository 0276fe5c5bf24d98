"""Deferred class weights: the ``schedule`` axis of ``balance``."""

from __future__ import annotations

from typing import Annotated, Any

import pytorch_lightning as pl
from pydantic import Field
from pytorch_lightning.callbacks import Callback

from heritage.errors import ConfigError
from heritage.training.losses import ClassLoss

Share = Annotated[float, Field(gt=0, lt=1)]


class DeferredWeighting(Callback):
    """Applies class weights only at the end of a run (DRW: Cao et al. 2019, algorithm 1).

    Class weights from the start impair the features; late ones only move the decision boundaries.

    Args:
        start: Fraction of the run's steps after which the weights are applied; 0.8 in the paper.
    """

    def __init__(self, start: Share) -> None:
        self.start = start

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Turn the weights on after ``start`` of all steps.

        Steps rather than epochs: sampling can give epochs different lengths, and none of three epochs
            begins in
        the last fifth of the run. The callback has no state, so nothing is lost when a run is resumed.
        """
        total_steps = int(pl_module.total_steps)  # type: ignore[arg-type]
        _loss(pl_module).weights_active = trainer.global_step >= self.start * total_steps

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Restore the loss."""
        _loss(pl_module).weights_active = True


def require_weights(schedule: DeferredWeighting | None, loss: ClassLoss) -> None:
    """Refuse a schedule without class weights.

    Raises:
        ConfigError: There are no class weights.
    """
    if schedule is not None and loss.weights is None:
        raise ConfigError(
            "there are no class weights to defer",
            where="balance.schedule",
            remedy="add balance/weighting=inverse, or balance/schedule=none",
        )


def require_constant_counts(constant: bool, loss: ClassLoss, *, counted_weights: bool) -> None:
    """Refuse a loss that depends on class counts together with a sampling that changes them between epochs.

    Args:
        constant: Whether all epochs have the class proportions of the first.
        loss: The run's loss.
        counted_weights: Whether class weights, if any, are computed from counts; those given by hand are not.

    Raises:
        ConfigError: The imbalance that later epochs no longer have would be corrected a second time.
    """
    weighted = counted_weights and loss.weights is not None
    if constant or not (weighted or loss.uses_counts):
        return
    raise ConfigError(
        "class weights and losses by class counts use the first epoch's counts, which this sampling changes",
        where="balance",
        remedy="use balance/weighting=none or by_hand with balance/loss=cross_entropy or focal, or another "
        "sampling",
    )


def no_schedule() -> None:
    """Apply class weights from the start."""


def _loss(pl_module: pl.LightningModule) -> ClassLoss:
    loss = pl_module.criterion
    if not isinstance(loss, ClassLoss):
        raise TypeError("DeferredWeighting needs a ClassLoss")
    return loss
