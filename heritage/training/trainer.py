"""Lightning's Trainer, with the settings that matter here named and the rest within reach."""

from __future__ import annotations

import inspect
import math
import os
import warnings
from typing import Annotated, Any, Literal

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from pydantic import Field
from pytorch_lightning.callbacks import Callback, ProgressBar
from pytorch_lightning.loggers import Logger

from heritage.config.types import Count, Positive, Probability
from heritage.errors import ConfigError
from heritage.taxonomy import nearest
from heritage.training.checkpoints import AtomicCheckpointIO
from heritage.training.precision import Precision

Limit = Annotated[int, Field(ge=1)] | Probability
Accelerator = Literal["auto", "cpu", "gpu", "mps"]


def lightning_trainer(
    max_epochs: Count | None,
    max_steps: Annotated[int, Field(ge=-1)],
    accelerator: Accelerator,
    devices: Count | Literal["auto"] | list[int],
    num_nodes: Count,
    strategy: str,
    precision: Precision,
    accumulate_grad_batches: Count,
    gradient_clip_val: Positive | None,
    check_val_every_n_epoch: Count,
    limit_train_batches: Limit | None,
    limit_val_batches: Limit | None,
    log_every_n_steps: Count,
    deterministic: bool | Literal["warn"],
    overfit_batches: Limit,
    fast_dev_run: bool,
    detect_anomaly: bool,
    extra: dict[str, Any],
    *,
    callbacks: list[Callback],
    loggers: list[Logger],
    run_folder: str,
) -> pl.Trainer:
    """Build the Trainer.

    Args:
        max_epochs: Epochs to train; None trains until ``max_steps``.
        max_steps: Optimiser steps to train at most; -1 is no limit.
        accelerator: Where to compute; ``auto`` takes a GPU where there is one.
        devices: How many devices, which ones, or ``auto`` for all GPUs and one CPU process.
        num_nodes: Machines that train together.
        strategy: Lightning's name for how they do it (``auto``, ``ddp``, …).
        precision: Number format, as already chosen for the network.
        accumulate_grad_batches: Batches whose gradients are summed for one step.
        gradient_clip_val: Largest norm of the gradient; None does not clip.
        check_val_every_n_epoch: How often to validate.
        limit_train_batches: Only so many batches, or this part of them.
        limit_val_batches: The same for validation.
        log_every_n_steps: How often a step is logged.
        deterministic: Refuse operations that do not repeat exactly.
        overfit_batches: Train on so many batches alone, or this part of them; 0 is off.
        fast_dev_run: One batch of everything, nothing written.
        detect_anomaly: Find the operation that makes a NaN (slow).
        extra: Further arguments of `pytorch_lightning.Trainer` by name.
        callbacks: What is called on the way.
        loggers: Where figures go.
        run_folder: Where Lightning may write.

    Raises:
        ConfigError: No such accelerator here, or an argument that the Trainer does not have.
    """
    _refuse_unknown(extra)
    if accelerator == "gpu" and not torch.cuda.is_available():
        raise ConfigError(
            "no GPU can be used here",
            where="trainer.accelerator=gpu",
            remedy="use trainer=cpu, or look at nvidia-smi",
        )
    if max_epochs is None and max_steps == -1:
        raise ConfigError(
            "the run would never end", where="trainer.max_epochs", remedy="give max_epochs or max_steps"
        )
    on_cpu = accelerator == "cpu" or (accelerator == "auto" and not torch.cuda.is_available())
    with warnings.catch_warnings():
        # It advises to install litmodels and to use srun; neither concerns a run that was started so.
        warnings.filterwarnings("ignore", message=".*srun.*")
        return pl.Trainer(
            max_epochs=max_epochs if max_epochs is not None else -1,
            max_steps=max_steps,
            accelerator=accelerator,
            devices=1 if devices == "auto" and on_cpu else devices,
            num_nodes=num_nodes,
            strategy=strategy,
            precision=precision,  # type: ignore[arg-type]
            accumulate_grad_batches=accumulate_grad_batches,
            gradient_clip_val=gradient_clip_val,
            check_val_every_n_epoch=check_val_every_n_epoch,
            limit_train_batches=limit_train_batches,
            limit_val_batches=limit_val_batches,
            log_every_n_steps=log_every_n_steps,
            deterministic=deterministic,
            overfit_batches=overfit_batches,
            fast_dev_run=fast_dev_run,
            detect_anomaly=detect_anomaly,
            callbacks=callbacks,
            logger=loggers or False,
            enable_progress_bar=any(isinstance(part, ProgressBar) for part in callbacks),
            default_root_dir=run_folder,
            plugins=[AtomicCheckpointIO(), *_cluster_environment()],
            use_distributed_sampler=False,  # the loader's plan deals images to ranks itself
            num_sanity_val_steps=0,
            enable_model_summary=False,
            **extra,
        )


def _cluster_environment() -> list[ClusterEnvironment]:
    """Return who tells the ranks apart in a Slurm job; queueing it again is submitit's part alone."""
    return [SLURMEnvironment(auto_requeue=False)] if SLURMEnvironment.detect() else []


def optimizer_steps(trainer: pl.Trainer, batches: int) -> int:
    """Return how many optimiser steps a run will take.

    Lightning's own estimate sets the loaders up before a checkpoint is read, and then forgets to put
    them where the checkpoint says.

    Args:
        trainer: The trainer, not yet started.
        batches: Batches of an epoch on each rank.
    """
    for limit in (trainer.limit_train_batches, getattr(trainer, "overfit_batches", 0)):
        if isinstance(limit, float) and 0 < limit < 1:
            batches = max(1, int(batches * limit))
        elif isinstance(limit, int) and limit > 0:
            batches = min(batches, limit)
    per_epoch = math.ceil(batches / trainer.accumulate_grad_batches)
    epochs, steps = trainer.max_epochs or -1, trainer.max_steps
    wanted = [count for count in (per_epoch * epochs, steps) if count > 0]
    return min(wanted, default=1)


def device_type(accelerator: Accelerator) -> str:
    """Return torch's name of the device that an accelerator stands for on this machine."""
    if accelerator in ("auto", "gpu") and torch.cuda.is_available():
        return "cuda"
    if accelerator in ("auto", "mps") and torch.backends.mps.is_available():
        return "mps"
    return "cpu"


def _refuse_unknown(extra: dict[str, Any]) -> None:
    known = set(inspect.signature(pl.Trainer.__init__).parameters) - {"self"}
    own = known & set(inspect.signature(lightning_trainer).parameters)
    for name in extra:
        if name in own:
            raise ConfigError(f"set trainer.{name} itself", where=f"trainer.extra.{name}")
        if name not in known:
            near = nearest(name, known)
            raise ConfigError(
                "Lightning's Trainer has no such argument",
                where=f"trainer.extra.{name}",
                remedy=f"did you mean '{near}'?" if near else "see its documentation",
            )


def quiet_lightning() -> None:
    """Silence what Lightning says at every start and nobody needs."""
    import logging

    os.environ.setdefault("PYTORCH_LIGHTNING_TIPS", "0")
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Each concerns a choice that is made here on purpose.
    for message in (
        ".*does not have many workers which may be a bottleneck.*",
        ".*is smaller than the logging interval.*",
        ".*Checkpoint directory .* exists and is not empty.*",
        ".*Experiment logs directory .* exists and is not empty.*",
        ".*isinstance\\(treespec, LeafSpec\\).*",
        ".*`srun` command is available.*",
    ):
        warnings.filterwarnings("ignore", message=message)
