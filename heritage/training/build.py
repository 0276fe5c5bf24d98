"""From a configuration to the objects of a training run."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig
from pytorch_lightning.callbacks import Callback
from torch import nn

from heritage.config.faults import did_you_mean
from heritage.config.recipe import require_recipe
from heritage.config.validate import validate
from heritage.core.manifest import SPLITS
from heritage.data import ArtefactDataModule
from heritage.data.loader import EpochPlan
from heritage.data.sampling import Sampling
from heritage.errors import ConfigError, SplitError
from heritage.models.classes import match_classifier
from heritage.models.finetune import TrainableReport
from heritage.models.network import IMAGENET, NONE, input_spec
from heritage.models.normalize import Normalize
from heritage.runs.record import resolved
from heritage.runs.resume import checkpoint_to_resume
from heritage.training import Classifier
from heritage.training.callbacks.deferred_weighting import (
    DeferredWeighting,
    require_lasting_counts,
    require_weights,
)
from heritage.training.callbacks.ema import Ema
from heritage.training.callbacks.finetuning import FineTuning
from heritage.training.classifier import validation_figures
from heritage.training.losses import ClassLoss
from heritage.training.precision import choose_precision
from heritage.training.trainer import (
    device_type,
    optimizer_steps,
    quiet_lightning,
    require_batches,
    stop_after,
)
from heritage.training.weighting import by_hand

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingRun:
    """Everything a training run consists of.

    Attributes:
        folder: The run folder.
        config: The resolved configuration, as plain data.
        data: The data module.
        classifier: The LightningModule.
        trainer: Lightning's trainer.
        precision: The number format, as chosen.
        counts: Images of each class: by split, and as an epoch shows them.
        choices: The option chosen in each configuration group.
        trains: Which parameters train.
        checkpoint: The checkpoint to go on from; None for a new run.
    """

    folder: Path
    config: dict[str, Any]
    data: ArtefactDataModule
    classifier: Classifier
    trainer: pl.Trainer
    precision: str
    counts: dict[str, dict[str, int]]
    choices: dict[str, str]
    trains: TrainableReport
    checkpoint: Path | None


def build(cfg: DictConfig) -> TrainingRun:
    """Build a training run.

    Raises:
        HeritageError: Whatever is wrong with the configuration, the data or the weights.
    """
    if HydraConfig.initialized():
        require_recipe()
    validate(cfg, "train")
    quiet_lightning()
    pl.seed_everything(cfg.seed, workers=True, verbose=False)
    config = resolved(cfg)
    _require_features(cfg)
    data = build_data(cfg)
    if not len(data.rows("train")):
        raise SplitError("no image to train on", where="data/split", remedy="use data/split=group")
    if cfg.trainer.overfit_batches:
        data.overfit_batches(cfg.trainer.overfit_batches)
    # before anything is written to the folder: it may be another run's
    checkpoint = checkpoint_to_resume(Path(cfg.paths.run), cfg.resume, config, data.manifest.fingerprint)
    net = build_network(cfg, data)
    finetuning: FineTuning = _make(cfg.finetune)
    trains = finetuning.prepare(net)
    counts = {split: data.counts(split) for split in SPLITS} | {"shown": data.sampled_counts()}
    precision = choose_precision(cfg.trainer.precision, net, device_type(cfg.trainer.accelerator))
    weights = _make(cfg.balance.weighting, counts=counts["shown"])
    loss: ClassLoss = _make(cfg.balance.loss, counts=counts["shown"], weights=weights)
    schedule: DeferredWeighting | None = _make(cfg.balance.schedule)
    require_weights(schedule, loss)
    counted = get_object(cfg.balance.weighting["_target_"]) is not by_hand
    require_lasting_counts(data.plan(1).constant_proportions, loss, counted=counted)
    trainer: pl.Trainer = _make(
        cfg.trainer,
        precision=precision,
        callbacks=[
            finetuning,
            *([schedule] if schedule else []),
            *(_make(part) for part in cfg.callbacks.values() if part),
        ],
        loggers=[_make(part) for part in cfg.logger.values() if part],
        run_folder=cfg.paths.run,
        steady=data.plan(1).constant_length,
    )
    finetuning.require_synchronised(trainer)
    _require_known_monitors(trainer, data.classes)
    spec = input_spec(net)
    steps = _plan_steps(trainer, data, cfg.trainer.max_steps, cfg.trainer.max_samples)
    classifier = Classifier(
        net,
        Normalize(spec.mean, spec.std),
        loss,
        _make(cfg.augment.mix),
        _make(cfg.optimizer),
        _make(cfg.scheduler),
        steps,
        data.classes,
        cfg.seed,
        {"config": config, "classes": list(data.classes), "fingerprint": data.manifest.fingerprint},
    )
    if not cfg.trainer.fast_dev_run:
        _warn_of_unfinished(data.plan(1).sampling, trainer.max_epochs)
        _warn_of_no_average(trainer, steps)
    choices = dict(HydraConfig.get().runtime.choices) if HydraConfig.initialized() else {}
    return TrainingRun(
        Path(cfg.paths.run), config, data, classifier, trainer, precision, counts, choices, trains, checkpoint
    )


def _require_features(cfg: DictConfig) -> None:
    """Refuse to learn a classifier anew on the features of a network that has learnt nothing."""
    finetune, weights = cfg.finetune, cfg.model.get("weights")
    if finetune.get("fresh_classifier") and finetune.get("depth") == "head" and weights in (None, NONE):
        raise ConfigError(
            "there are no features to learn a classifier on",
            where=f"model.weights={NONE}",
            remedy="name the first stage's checkpoint: model.weights=<run folder>/checkpoints/best.ckpt",
        )


def _require_known_monitors(trainer: pl.Trainer, classes: Sequence[str]) -> None:
    """Refuse a callback that waits for a figure that no validation logs: Lightning would, an epoch later."""
    if trainer.limit_val_batches == 0 and trainer.early_stopping_callbacks:
        raise ConfigError(
            "early stopping waits for a validation that there is none of",
            where="trainer.limit_val_batches=0",
            remedy="set callbacks=default, or let it validate",
        )
    known = validation_figures(classes)
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    for callback in callbacks:
        monitor = getattr(callback, "monitor", None)
        if monitor is not None and monitor not in known:
            raise ConfigError(
                f"validation logs no figure '{monitor}'",
                where="callbacks",
                remedy=did_you_mean(monitor, known),
            )


def _plan_steps(
    trainer: pl.Trainer, data: ArtefactDataModule, max_steps: int, max_samples: int | None
) -> int:
    """Return the optimiser steps of the run, and let the trainer stop after them if it counts no epochs."""
    if trainer.fast_dev_run:  # type: ignore[attr-defined]
        return trainer.max_steps
    plan = data.plan(trainer.world_size)
    require_batches(trainer, plan.steps(0), data.plan(trainer.world_size, "val").steps(0))
    if max_samples is not None:
        batches = plan.steps_to_show(max_samples)
    elif max_steps == -1:
        return optimizer_steps(trainer, plan.steps_by_epoch(trainer.max_epochs or 0))
    else:
        batches = _epochs_of(trainer, plan, max_steps)
    steps = optimizer_steps(trainer, batches)
    if max_steps != -1:
        steps = min(steps, max_steps)
    stop_after(trainer, steps, len(batches))
    return steps


def _warn_of_unfinished(sampling: Sampling | None, epochs: int | None) -> None:
    """Say that a sampling which changes over epochs has more of them than the run."""
    wanted = getattr(sampling, "epochs", None)
    if wanted is not None and epochs is not None and epochs < wanted:
        log.warning(
            "balance.sampling.epochs=%d, but the run ends in epoch %d, before its sampling has changed as "
            "far as it was to; set balance.sampling.epochs=%d",
            wanted,
            epochs,
            epochs,
        )


def _warn_of_no_average(trainer: pl.Trainer, steps: int) -> None:
    """Say that a moving average would show the network of one step, or the untrained one."""
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, Ema) and (updates := callback.updates(steps)) < 2:
            log.warning(
                "callbacks.ema takes in %d of the run's %d steps, so that it averages nothing; set a smaller "
                "callbacks.ema.every_n_steps or from_step",
                updates,
                steps,
            )


def _epochs_of(trainer: pl.Trainer, plan: EpochPlan, steps: int) -> list[int]:
    """Return the batches of each epoch until ``steps`` are taken, or ``max_epochs`` are over."""
    most = trainer.max_epochs or -1
    batches: list[int] = []
    left = steps
    while left > 0 and len(batches) != most:
        batches.append(plan.steps(0 if plan.constant_length else len(batches)))
        left -= optimizer_steps(trainer, batches[-1:])
    return batches


def build_data(cfg: DictConfig) -> ArtefactDataModule:
    """Read and split the data set that a configuration names."""
    data: ArtefactDataModule = _make(
        cfg.data,
        train=_make(cfg.augment.train),
        copies=_make(cfg.augment.copies),
        sampling=_make(cfg.balance.sampling),
        seed=cfg.seed,
    )
    return data


def build_network(cfg: DictConfig, data: ArtefactDataModule) -> nn.Module:
    """Build the network for a data set, and tell the data module what input it wants."""
    net: nn.Module = _make(cfg.model, num_classes=len(data.classes), image_size=cfg.data.image_size)
    if cfg.model.get("weights") not in (None, NONE, IMAGENET):
        match_classifier(net, cfg.model.weights, data.classes)
    spec = input_spec(net)
    data.set_input(spec.image_size, spec.interpolation)
    if cfg.compile:
        net.compile()  # in place: names in the state dict stay as they are
    # Batches come as NHWC bytes; convolutions that expect channels last need no transposition.
    return net.to(memory_format=torch.channels_last)


def _make(config: DictConfig, **supplied: Any) -> Any:
    """Call what a configuration's ``_target_`` names; a ``_partial_`` one is returned to be called later.

    Hydra would turn supplied dataclasses into configurations, and wrap our errors in its own.
    """
    function = instantiate(config, _partial_=True, _convert_="all")
    return function if config.get("_partial_") else function(**supplied)
