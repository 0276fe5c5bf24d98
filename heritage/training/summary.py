"""Descriptions of a training run: tables for the console, and facts and notes for the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
from rich.table import Table
from torch import nn

from heritage.core.manifest import SPLITS, Manifest
from heritage.core.numbers import counted
from heritage.core.packaged_weights import EXTRA, place_of_weights
from heritage.data import ArtefactDataModule
from heritage.metrics.classification import absent_note
from heritage.models.network import NONE, parameter_count
from heritage.runs.training_images import drawn_note
from heritage.training.callbacks.finetuning import FineTuning
from heritage.training.callbacks.throughput import ThroughputMonitor

_NAMED = 5
_SMALL_NETWORK = "tf_efficientnet_lite0.in1k"
_ENOUGH = 5000  # training images from which a network from scratch is comparable (docs/balancing.md)


def option_name(choices: Mapping[str, str], group: str) -> str:
    """Return the option chosen in a configuration group, ``custom`` if it is not known."""
    return choices.get(group) or "custom"


def run_facts(
    choices: Mapping[str, str],
    config: Mapping[str, Any],
    data: ArtefactDataModule,
    net: nn.Module,
    trainer: pl.Trainer,
    seconds: float,
) -> dict[str, str]:
    """Return the facts of a trained run for its report, by name.

    Args:
        choices: The option chosen in each configuration group.
        config: The resolved configuration.
        data: The data set.
        net: The network.
        trainer: The trainer, after fitting.
        seconds: Duration of the training.
    """
    seen = images_seen(trainer)
    shown = "" if seen is None else f"{counted(seen, 'image')} seen, "
    return {
        "data": f"{data.manifest.root} ({counted(len(data.manifest), 'image')}, fingerprint "
        f"{data.manifest.fingerprint[:12]})",
        "split": f"{option_name(choices, 'data/split')}: "
        + ", ".join(f"{name} {len(data.rows(name)):,}" for name in SPLITS),
        "model": f"{option_name(choices, 'model')}, {parameter_count(net):,} parameters, "
        f"{data.image_size} px",
        "balance": _balance(choices, config),
        "optimizer": f"{option_name(choices, 'optimizer')}, lr {config['optimizer']['lr']:g}, "
        f"{option_name(choices, 'scheduler')}",
        "training": f"{counted(trainer.current_epoch, 'epoch')}, {counted(trainer.global_step, 'step')}, "
        f"{shown}{seconds:,.0f} s",
        "precision": str(trainer.precision),
        "seed": str(config["seed"]),
    }


def images_seen(trainer: pl.Trainer) -> int | None:
    """Return the number of images that training has shown; None without a `ThroughputMonitor`."""
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    return next((part.images_seen for part in callbacks if isinstance(part, ThroughputMonitor)), None)


def test_notes(data: ArtefactDataModule, manifest: Manifest, config: Mapping[str, Any]) -> list[str]:
    """Return notes on what the test images cannot show.

    Args:
        data: The data set.
        manifest: The test images.
        config: The resolved configuration.
    """
    return [
        *data.training_images.notes(config["model"].get("weights")),
        *drawn_note(len(manifest), manifest.drawn),
        *absent_note(manifest.counts(), data.counts("train")),
    ]


def unreadable_notes(data: ArtefactDataModule) -> list[str]:
    """Return a note for each split with images that could not be read, or have no prediction."""
    notes = []
    for split in SPLITS:
        for files, reason in (
            (data.unreadable(split), "could not be read and were left out"),
            (data.without_prediction(split), "have no prediction, as the network's output is not finite"),
        ):
            if files:
                more = f" and {len(files) - _NAMED} more" if len(files) > _NAMED else ""
                notes.append(f"{len(files)} {split} images {reason}: {', '.join(files[:_NAMED])}{more}")
    return notes


def class_table(data: ArtefactDataModule, counts: Mapping[str, Mapping[str, int]]) -> Table:
    """Return the images of each class: in each split, and as an epoch shows them."""
    table = Table(title=f"Images of {data.manifest.root}", title_justify="left")
    table.add_column("class")
    for name in (*SPLITS, "shown an epoch"):
        table.add_column(name, justify="right")
    columns = [*SPLITS, "shown"]
    for name in data.classes:
        table.add_row(name, *(f"{counts[column][name]:,}" for column in columns))
    table.add_section()
    table.add_row("all", *(f"{sum(counts[column].values()):,}" for column in columns))
    return table


def start_lines(
    choices: Mapping[str, str], data: ArtefactDataModule, net: nn.Module, loss: nn.Module, trainer: pl.Trainer
) -> list[str]:
    """Return what a run prints at its start: trained layers, class weights, network and precision."""
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    lines = [str(part.apply(net)) for part in callbacks if isinstance(part, FineTuning)]
    weights = getattr(loss, "weights", None)
    if weights is not None:
        pairs = zip(data.classes, weights.tolist(), strict=True)
        lines.append("class weights: " + ", ".join(f"{name} {weight:.4f}" for name, weight in pairs))
    lines.append(
        f"{option_name(choices, 'model')}: {parameter_count(net):,} parameters, {data.image_size} px, "
        f"{trainer.precision}; run folder {trainer.default_root_dir}"
    )
    return lines


def scratch_note(config: Mapping[str, Any], data: ArtefactDataModule) -> list[str]:
    """Return the advice to start from pretrained weights; empty for a run that does, or has many images.

    Args:
        config: The resolved configuration.
        data: The data set.
    """
    images = len(data.rows("train"))
    pretrained = config["model"].get("weights") not in (None, NONE)
    if pretrained or images >= _ENOUGH or data.training_images.all_drawn:
        return []
    place = place_of_weights(_SMALL_NETWORK) or f"ImageNet weights from timm's hub or of {EXTRA}"
    start = f"from scratch on {counted(images, 'image')}, which are few: add model=efficientnet_lite0 to"
    return [f"{start} start from {place}"]


def _balance(choices: Mapping[str, str], config: Mapping[str, Any]) -> str:
    """Return the option of ``balance`` and those of its axes, each of which can be overridden."""
    axes = []
    for axis, node in config["balance"].items():
        values = [f"{key} {value}" for key, value in node.items() if key[0] != "_"]
        option = option_name(choices, f"balance/{axis}")
        axes.append(f"{axis} {option} ({', '.join(values)})" if values else f"{axis} {option}")
    return f"{option_name(choices, 'balance')}: {', '.join(axes)}"
