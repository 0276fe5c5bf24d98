"""The length of a run in optimizer steps, from epochs, steps or images."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence

import pytorch_lightning as pl

from heritage.data import ArtefactDataModule
from heritage.data.loader import EpochPlan
from heritage.data.sampling import Sampling
from heritage.errors import ConfigError
from heritage.training.callbacks.ema import Ema
from heritage.training.callbacks.last_validation import LastValidation

log = logging.getLogger(__name__)


def plan_steps(trainer: pl.Trainer, data: ArtefactDataModule, max_steps: int, max_samples: int | None) -> int:
    """Return the optimizer steps of a run, and make the trainer stop after them if it counts no epochs.

    Args:
        trainer: A trainer of `TrainerOptions.build`, not yet started.
        data: The data set.
        max_steps: Optimizer steps at most; -1 is no limit.
        max_samples: Training images in all; None leaves the length to epochs and steps.

    Raises:
        ConfigError: See `require_batches`.
    """
    if trainer.fast_dev_run:  # type: ignore[attr-defined]
        return trainer.max_steps
    plan = data.plan(trainer.world_size)
    require_batches(trainer, plan.steps(0), data.plan(trainer.world_size, "val").steps(0))
    if max_samples is not None:
        batches = plan.steps_to_show(max_samples)
    elif max_steps == -1:
        return optimizer_steps(trainer, plan.steps_by_epoch(trainer.max_epochs or 0))
    else:
        batches = _batches_by_epoch(trainer, plan, max_steps)
    steps = optimizer_steps(trainer, batches)
    if max_steps != -1:
        steps = min(steps, max_steps)
    stop_after(trainer, steps, len(batches))
    return steps


def optimizer_steps(trainer: pl.Trainer, batches: Sequence[int]) -> int:
    """Return the optimizer steps of a number of batches.

    Lightning's own estimate sets up the loaders before a checkpoint is read, and they then start at the
    beginning of the epoch instead of the checkpoint's position.

    Args:
        trainer: The trainer, not yet started.
        batches: Batches on each rank, for each epoch.
    """
    return sum(math.ceil(_limited(trainer, epoch) / trainer.accumulate_grad_batches) for epoch in batches)


def require_batches(trainer: pl.Trainer, train: int, val: int) -> None:
    """Refuse limits of less than one batch, and a validation interval longer than an epoch.

    Lightning would raise for both only after fitting has begun.

    Args:
        trainer: The trainer, not yet started.
        train: Training batches of an epoch on each rank.
        val: Batches of a validation on each rank.

    Raises:
        ConfigError: With the limit and the number of batches.
    """
    for name, batches in (("train", train), ("val", val)):
        limit = getattr(trainer, f"limit_{name}_batches")
        if isinstance(limit, float) and batches and 0 < limit * batches < 1:
            raise ConfigError(
                f"less than one of {batches} batches",
                where=f"trainer.limit_{name}_batches={limit:g}",
                remedy="give the number of batches, as a whole number",
            )
    every = trainer.val_check_interval
    shown = _limited(trainer, train)
    if isinstance(every, int) and trainer.check_val_every_n_epoch is not None and val and every > shown:
        raise ConfigError(
            f"an epoch ends after {shown} batches, before its first validation",
            where=f"trainer.extra.val_check_interval={every}",
            remedy="leave it out, or set trainer.check_val_every_n_epoch=2 for one in two epochs",
        )


def stop_after(trainer: pl.Trainer, steps: int, epochs: int) -> None:
    """Make a trainer stop after a number of optimizer steps, in epoch ``epochs``."""
    trainer.fit_loop.max_epochs = epochs
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, LastValidation):
            callback.steps = steps


def warn_of_unfinished_sampling(sampling: Sampling | None, epochs: int | None) -> None:
    """Warn if a sampling that changes over epochs needs more of them than the run has."""
    needed = getattr(sampling, "epochs", None)
    if needed is not None and epochs is not None and epochs < needed:
        log.warning(
            "balance.sampling.epochs=%d, but the run ends after epoch %d, before the sampling has reached "
            "its final proportions; set balance.sampling.epochs=%d",
            needed,
            epochs,
            epochs,
        )


def warn_of_short_average(trainer: pl.Trainer, steps: int) -> None:
    """Warn if a moving average takes in fewer than two steps of the run."""
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, Ema) and (updates := callback.updates(steps)) < 2:
            log.warning(
                "callbacks.ema takes in %d of the run's %d steps, so that it averages nothing; set a smaller "
                "callbacks.ema.every_n_steps or from_step",
                updates,
                steps,
            )


def _batches_by_epoch(trainer: pl.Trainer, plan: EpochPlan, steps: int) -> list[int]:
    """Return the batches of each epoch until ``steps`` are taken or ``max_epochs`` is reached."""
    limit = trainer.max_epochs or -1
    batches: list[int] = []
    left = steps
    while left > 0 and len(batches) != limit:
        batches.append(plan.steps(0 if plan.constant_length else len(batches)))
        left -= optimizer_steps(trainer, batches[-1:])
    return batches


def _limited(trainer: pl.Trainer, batches: int) -> int:
    for limit in (trainer.limit_train_batches, getattr(trainer, "overfit_batches", 0)):
        if isinstance(limit, float) and 0 < limit < 1:
            batches = max(1, int(batches * limit))
        elif isinstance(limit, int) and limit > 0:
            batches = min(batches, limit)
    return batches
