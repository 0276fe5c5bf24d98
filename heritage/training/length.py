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
    by_epoch = steps_by_epoch(trainer, plan, trainer.max_epochs, max_steps, max_samples)
    steps = sum(by_epoch)
    if max_samples is not None or max_steps != -1:
        stop_after(trainer, steps, len(by_epoch))
    return steps


def steps_by_epoch(
    trainer: pl.Trainer, plan: EpochPlan, max_epochs: int | None, max_steps: int, max_samples: int | None
) -> list[int]:
    """Return the optimizer steps of each epoch of a run.

    Args:
        trainer: The trainer, for its limits of an epoch.
        plan: The batches of an epoch.
        max_epochs: Epochs at most; None and -1 are no limit.
        max_steps: Optimizer steps at most; -1 is no limit.
        max_samples: Training images in all, instead of ``max_epochs``; None is no limit.
    """
    if max_samples is not None:
        return [optimizer_steps(trainer, [batches]) for batches in plan.steps_to_show(max_samples)]
    if max_steps == -1:
        return [optimizer_steps(trainer, [batches]) for batches in plan.steps_by_epoch(max_epochs or 0)]
    steps: list[int] = []
    left = max_steps
    while left > 0 and len(steps) != (max_epochs or -1):
        batches = plan.steps(0 if plan.constant_length else len(steps))
        steps.append(min(left, optimizer_steps(trainer, [batches])))
        left -= steps[-1]
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


def limited(limit: int | float | None, batches: int) -> int:
    """Return the batches of an epoch within a limit of the trainer: a number of batches, or a fraction."""
    if isinstance(limit, float):
        return max(1, int(batches * limit)) if 0 < limit < 1 else batches if limit else 0
    return batches if limit is None else min(batches, limit)


def _limited(trainer: pl.Trainer, batches: int) -> int:
    for limit in (trainer.limit_train_batches, getattr(trainer, "overfit_batches", 0)):
        if limit:
            batches = limited(limit, batches)
    return batches
