"""Build the objects of a training run from its configuration.

`build` makes all of them. Its parts can be used one by one, in the order in which they depend on each other::

    data = build_data(cfg)
    if checkpoint is not None:
        read_checkpoint(checkpoint)  # refuses what is damaged or not finite
    net = build_network(cfg, data)
    loss = build_loss(cfg, data)
    trainer = build_trainer(cfg, data, net)
    classifier = build_classifier(cfg, data, net, loss, trainer)
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import Callback
from torch import nn

from heritage.config.faults import did_you_mean
from heritage.config.network_parts import builder_node, network_parts
from heritage.config.recipe import require_recipe
from heritage.config.schema import SCHEMAS
from heritage.config.validate import validate
from heritage.core.console import Console
from heritage.core.hub import is_hub_address
from heritage.core.option_types import FigureWidth, choice
from heritage.data import ArtefactDataModule
from heritage.data.readers import option_for
from heritage.data.split import made_split
from heritage.errors import ArgumentError, ConfigError, SplitError
from heritage.features.compute import feature_places
from heritage.models.adapters import attach_adapters, load_adapters
from heritage.models.classes import match_classifier
from heritage.models.heads import KNN, attach_head
from heritage.models.hub import pinned_weights, weights_file
from heritage.models.initial_weights import initial_weights
from heritage.models.network import NONE, PRETRAINED, input_spec, is_pretrained
from heritage.models.precision import choose_precision
from heritage.models.weights import INITIAL_WEIGHTS, read_weights
from heritage.runs.files import CONFIG_FILE
from heritage.runs.hydra_node import chosen_options
from heritage.runs.record import read_config, resolved
from heritage.runs.resume import checkpoint_to_resume
from heritage.runs.training_images import RECORD
from heritage.training.callbacks.deferred_weighting import (
    DeferredWeighting,
    require_constant_counts,
    require_weights,
)
from heritage.training.callbacks.finetuning import FineTuning
from heritage.training.class_means import initialise_classifier
from heritage.training.classifier import Classifier, higher_is_better, validation_metrics
from heritage.training.devices import device_type
from heritage.training.length import plan_steps, warn_of_short_average, warn_of_unfinished_sampling
from heritage.training.losses import ClassLoss
from heritage.training.probe_options import is_probe, prepare_probe
from heritage.training.probe_run import ProbeRun
from heritage.training.run import TrainingRun
from heritage.training.trainer import TrainerOptions, quiet_lightning
from heritage.training.weighting import by_hand

_log = logging.getLogger(__name__)

_DEMO_READER = "heritage.data.readers.demo"


def build(cfg: DictConfig, console: Console | None = None) -> TrainingRun:
    """Build a training run.

    Args:
        cfg: The configuration of ``train``, from `heritage.compose` or from Hydra.
        console: Where the run prints its tables; None prints nothing but Lightning's progress bar.

    Raises:
        HeritageError: The configuration, the data or the weights are wrong.
        ArgumentError: ``cfg`` is not a configuration.

    Example:
        >>> run = heritage.build(heritage.compose("train", tiny, data__root=class_folders))
        >>> run.fit()
        >>> sorted(run.test())[:2]
        ['accuracy', 'balanced_accuracy']
        >>> run.report().report.name
        'report.md'
    """
    if HydraConfig.initialized():
        require_recipe()
    _require_configuration(cfg)
    _require_precision_target(cfg.target_precision)
    choice("figure_width", cfg.figure_width, FigureWidth)
    validate(cfg, "train")
    quiet_lightning()
    pl.seed_everything(cfg.seed, workers=True, verbose=False)
    _require_features(cfg)
    _require_own_root(cfg)
    data = build_data(cfg)
    given, cfg = cfg.copy(), cfg.copy()
    cfg.data.classes = list(data.classes)  # recorded with the run, independently of the data set
    _pin_weights(cfg)
    if is_probe(cfg):
        prepare_probe(cfg)
    cfg.data.split._target_ = made_split(cfg.data.split["_target_"], has_split=data.source_has_split)
    config = resolved(cfg)
    if not len(data.rows("train")):
        raise SplitError("no image to train on", where="data/split", remedy="use data/split=group")
    # before anything is written to the folder: it may be another run's
    checkpoint = checkpoint_to_resume(Path(cfg.paths.run), cfg.resume, config, data.manifest.fingerprint)
    net = build_network(cfg, data)
    loss = build_loss(cfg, data)
    trainer = build_trainer(cfg, data, net)
    classifier = build_classifier(cfg, data, net, loss, trainer)
    if not (cfg.trainer.fast_dev_run or is_probe(cfg)):
        warn_of_unfinished_sampling(data.plan(1).sampling, trainer.max_epochs)
        warn_of_short_average(trainer, classifier.total_steps or 0)
    run_class = ProbeRun if is_probe(cfg) else TrainingRun
    return run_class(
        Path(cfg.paths.run),
        given,
        config,
        data,
        classifier,
        trainer,
        chosen_options(cfg),
        checkpoint,
        Console(quiet=True) if console is None else console,
    )


def _pin_weights(cfg: DictConfig) -> None:
    """Name initial weights as the run records them: by their current name, and with a hub's commit."""
    weights = cfg.model.get("weights")
    if is_pretrained(weights):
        cfg.model.weights = PRETRAINED
    if not is_hub_address(weights):
        return
    folder = Path(cfg.paths.run)
    saved = (
        read_config(folder)["model"].get("weights")
        if cfg.resume and (folder / CONFIG_FILE).is_file()
        else None
    )
    cfg.model.weights = pinned_weights(weights, saved)


def _require_own_root(cfg: DictConfig) -> None:
    """Check that ``data.root`` is not set for the demo set, which has its own folder.

    Raises:
        ConfigError: It is set; the message names the option that reads photographs.
    """
    root = Path(cfg.data.root)
    if cfg.data.reader.get("_target_") == _DEMO_READER and root != Path(cfg.paths.data) / "demo":
        raise ConfigError(
            "the demo set (data=demo, the default) does not read this folder",
            where=f"data.root={root}",
            remedy=f"add {option_for(root)} to read your photographs, or leave data.root out",
        )


def build_data(cfg: DictConfig) -> ArtefactDataModule:
    """Read and split the data set."""
    data: ArtefactDataModule = _make(
        cfg.data,
        train=_make(cfg.augment.train),
        copies=_make(cfg.augment.copies),
        sampling=_make(cfg.balance.sampling),
        seed=cfg.seed,
    )
    return data


def build_network(cfg: DictConfig, data: ArtefactDataModule) -> nn.Module:
    """Build the network for a data set, and freeze the layers that ``finetune`` excludes.

    Sets the input size and the interpolation of the data module to the network's.

    Returns:
        Normalised images (B, 3, S, S) to logits (B, K).
    """
    head = None if is_probe(cfg) else cfg.model.get("head")  # a probe attaches it after fitting
    _require_trainable_head(head)
    finetuning: FineTuning = _make(cfg.finetune)  # refuses what contradicts itself
    node = OmegaConf.create(builder_node(cfg.model))
    net: nn.Module = _make(node, num_classes=len(data.classes), image_size=cfg.data.image_size)
    if not is_pretrained(weights := cfg.model.get("weights")) and weights not in (None, NONE):
        match_classifier(net, cfg.model.weights, data.classes)
    attach_head(net, head)
    spec = input_spec(net)
    data.set_input(spec.image_size, spec.interpolation)
    if cfg.finetune.get("classifier_init") is not None:
        initialise_classifier(
            net,
            data,
            places=feature_places(None, cfg.paths.outputs),
            accelerator=cfg.trainer.accelerator,
            precision=cfg.trainer.precision,
        )
    _attach_adapters(net, cfg)
    if cfg.compile:
        net.compile()  # in place: names in the state dict stay as they are
    # Batches are NHWC bytes; convolutions that expect channels last need no transposition.
    net = net.to(memory_format=torch.channels_last)
    finetuning.prepare(net)
    return net


def _attach_adapters(net: nn.Module, cfg: DictConfig) -> None:
    """Add the adapters of ``model.adapters``, with their weights in a file of initial weights."""
    options, weights = network_parts(resolved(cfg)["model"])["adapters"], cfg.model.get("weights")
    attach_adapters(net, options)
    if not is_pretrained(weights) and weights not in (None, NONE):
        load_adapters(net, read_weights(weights_file(weights)), weights)
    if weights in (None, NONE) and options is not None:
        _log.warning(
            "model.weights=none: adapters change a network that has learnt something; in an untrained one "
            "all other layers stay random"
        )


def _require_trainable_head(head: str | None) -> None:
    if head == KNN:
        raise ConfigError(
            "stored features are no weights that training could change",
            where="model.head=knn",
            remedy="finetune=probe finetune.head=knn stores them",
        )


def build_loss(cfg: DictConfig, data: ArtefactDataModule) -> ClassLoss:
    """Build the loss, with class weights for the classes as an epoch shows them.

    Raises:
        ConfigError: Weighting, loss, sampling and schedule of ``balance`` contradict each other.
    """
    counts = data.sampled_counts()
    weights = _make(cfg.balance.weighting, counts=counts)
    loss: ClassLoss = _make(cfg.balance.loss, counts=counts, weights=weights)
    require_weights(_make(cfg.balance.schedule), loss)
    counted_weights = get_object(cfg.balance.weighting["_target_"]) is not by_hand
    require_constant_counts(data.plan(1).constant_proportions, loss, counted_weights=counted_weights)
    return loss


def build_trainer(cfg: DictConfig, data: ArtefactDataModule, net: nn.Module) -> pl.Trainer:
    """Build the trainer, with all callbacks and loggers.

    Args:
        cfg: The configuration.
        data: The data set: its epochs may differ in length, and callbacks may monitor its classes.
        net: The network, for ``trainer.precision=auto``.

    Raises:
        ConfigError: The machine does not have what the trainer needs, or a callback monitors an unknown
            metric, or one in the wrong direction.
    """
    if cfg.trainer.overfit_batches:
        data.overfit_batches(cfg.trainer.overfit_batches)
    finetuning: FineTuning = _make(cfg.finetune)
    schedule: DeferredWeighting | None = _make(cfg.balance.schedule)
    precision = choose_precision(cfg.trainer.precision, net, device_type(cfg.trainer.accelerator))
    options: TrainerOptions = _make(cfg.trainer, precision=precision)
    callbacks: dict[str, Callback] = {str(key): _make(part) for key, part in cfg.callbacks.items() if part}
    trainer = options.build(
        callbacks=[
            finetuning,
            *([schedule] if schedule else []),
            *callbacks.values(),
        ],
        loggers=[_make(part) for part in cfg.logger.values() if part],
        run_folder=cfg.paths.run,
        constant_length=data.plan(1).constant_length,
    )
    finetuning.require_synchronised(trainer)
    _require_known_monitors(trainer, callbacks, cfg.objective, data.classes)
    return trainer


def build_classifier(
    cfg: DictConfig, data: ArtefactDataModule, net: nn.Module, loss: nn.Module, trainer: pl.Trainer
) -> Classifier:
    """Build the LightningModule.

    Args:
        cfg: The configuration.
        data: The data set.
        net: The network.
        loss: The training loss.
        trainer: The trainer of `build_trainer`; it is given the length of the run.
    """
    initial = initial_weights(resolved(cfg)["model"])
    return Classifier(
        net,
        data.classes,
        criterion=loss,
        optimizer=_make(cfg.optimizer),
        scheduler=_make(cfg.scheduler),
        mixing=_make(cfg.augment.mix),
        total_steps=plan_steps(trainer, data, cfg.trainer.max_steps, cfg.trainer.max_samples),
        seed=cfg.seed,
        metadata={
            "config": resolved(cfg),
            "fingerprint": data.manifest.fingerprint,
            RECORD: data.training_images.record(),
            INITIAL_WEIGHTS: None if initial is None else initial.record(),
        },
    )


def _require_configuration(cfg: object) -> None:
    remedy = 'make one with heritage.compose("train")'
    if not isinstance(cfg, DictConfig):
        raise ArgumentError(
            f"a configuration is a DictConfig, not a {type(cfg).__name__}", where="cfg", remedy=remedy
        )
    if missing := sorted({field.name for field in dataclasses.fields(SCHEMAS["train"])} - {*map(str, cfg)}):
        raise ConfigError(f"not a configuration of train: it lacks {missing[0]}", where="cfg", remedy=remedy)


def _require_precision_target(target: float | None) -> None:
    if target is not None and not 0 < target < 1:
        raise ConfigError(
            "the target precision is not between 0 and 1",
            where=f"target_precision={target}",
            remedy="0.95 is usual; null leaves the run uncalibrated",
        )


def _require_features(cfg: DictConfig) -> None:
    """Refuse to train a new classifier on the frozen features of an untrained network."""
    finetune, weights = cfg.finetune, cfg.model.get("weights")
    if finetune.get("fresh_classifier") and finetune.get("depth") == "head" and weights in (None, NONE):
        raise ConfigError(
            "there are no features to train a classifier on",
            where=f"model.weights={NONE}",
            remedy="name the first stage's checkpoint: model.weights=<run folder>/checkpoints/best.ckpt",
        )


def _require_known_monitors(
    trainer: pl.Trainer, callbacks: Mapping[str, Callback], objective: str | None, classes: Sequence[str]
) -> None:
    """Reject a monitored metric that is never logged, or whose best value is at the other end.

    Lightning would fail only after an epoch, and keep the worst network as the best one.
    """
    if trainer.limit_val_batches == 0 and trainer.early_stopping_callbacks:
        raise ConfigError(
            "early stopping needs validation, which is switched off",
            where="trainer.limit_val_batches=0",
            remedy="set callbacks=default, or let it validate",
        )
    known = validation_metrics(classes)
    monitors = {f"callbacks.{key}": part for key, part in callbacks.items() if hasattr(part, "monitor")}
    names = {f"{key}.monitor": getattr(part, "monitor", None) for key, part in monitors.items()}
    for where, name in [*names.items(), ("objective", objective)]:
        if name is not None and name not in known:
            raise ConfigError(
                f"validation logs no metric '{name}'",
                where=f"{where}={name}",
                remedy=did_you_mean(name, known),
            )
    for key, part in monitors.items():
        name, mode = getattr(part, "monitor", None), getattr(part, "mode", None)
        best = None if name is None else "max" if higher_is_better(name) else "min"
        if mode in ("min", "max") and best not in (None, mode):
            raise ConfigError(
                f"{name} is best at its {best}imum",
                where=f"{key}.mode={mode}",
                remedy=f"set it to {best}",
            )


def _make(config: DictConfig, **supplied: Any) -> Any:
    """Call the ``_target_`` of a configuration; return a ``_partial_`` one, to be called later.

    Hydra would turn supplied dataclasses into configurations, and wrap our errors in its own.
    """
    function = instantiate(config, _partial_=True, _convert_="all")
    return function if config.get("_partial_") else function(**supplied)
