"""Post-hoc logit adjustment of a trained network for equal class frequencies (Menon et al., ICLR 2021)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import torch

from heritage.data import sampling
from heritage.errors import CheckpointError, ConfigError
from heritage.inference.checkpoint import TrainedClassifier
from heritage.runs.files import DATA_FILE
from heritage.runs.record import read_json
from heritage.training import losses

_MAX_TAU = 100.0  # larger values predict the rarest class for every image


def adjust_logits(classifier: TrainedClassifier, tau: float) -> TrainedClassifier:
    """Return a classifier whose logits are z − τ · log π (Menon et al. 2021, equation 9).

    π are the class frequencies among the images of a training epoch. τ = 0 or equal frequencies change no
    prediction.

    Args:
        classifier: A classifier in its run folder, whose ``data.json`` has the class counts.
        tau: The strength τ.

    Raises:
        CheckpointError: The counts are missing or damaged, or a class was never shown.
        ConfigError: τ is not between 0 and 100.
    """
    if not 0 <= tau <= _MAX_TAU:
        raise ConfigError(
            f"not a number from 0 to {_MAX_TAU:g}",
            where=f"logit_adjustment={tau}",
            remedy="1 is the usual value",
        )
    shown = _shown_counts(classifier)
    counts = torch.tensor([shown[name] for name in classifier.classes], dtype=torch.float64)
    shift = -tau * torch.log(counts / counts.sum())
    return dataclasses.replace(classifier, model=classifier.model.replaced(shift=shift.float()))


def frequency_correction(classifier: TrainedClassifier) -> str | None:
    """Return which part of training already corrected for class frequencies, or None.

    Losses and samplings are found by exact name; those of the user's own count as no correction.
    """
    balance = classifier.config["balance"]
    loss, drawn, weighting = (_target(balance.get(axis)) for axis in ("loss", "sampling", "weighting"))
    if loss in _COUNTING_LOSSES:
        return f"its loss ({loss.rpartition('.')[2]})"
    if drawn in _CHANGING_SAMPLINGS:
        return f"its sampling, which changes over epochs ({drawn.rpartition('.')[2]})"
    weighting = weighting.rpartition(".")[2]
    return None if weighting in ("", "no_weighting") else f"its class weights ({weighting})"


def _target(node: Any) -> str:
    return str(node.get("_target_", "")) if isinstance(node, Mapping) else ""


def _names(module: ModuleType, flag: str, value: bool) -> frozenset[str]:
    """Return the dotted names of a module's own classes whose class attribute has a value."""
    return frozenset(
        f"{module.__name__}.{name}"
        for name, kind in vars(module).items()
        if isinstance(kind, type)
        and kind.__module__ == module.__name__
        and getattr(kind, flag, None) is value
    )


_COUNTING_LOSSES = _names(losses, "uses_counts", True)
_CHANGING_SAMPLINGS = _names(sampling, "constant_proportions", False)


def _shown_counts(classifier: TrainedClassifier) -> dict[str, int]:
    """Return the number of images of each class that an epoch of training showed."""
    remedy = "use a complete run folder of heritage.train, or logit_adjustment=0"
    where = classifier.file if classifier.folder is None else classifier.folder / DATA_FILE
    if classifier.folder is None or not where.is_file():
        raise CheckpointError(
            f"no {DATA_FILE}, which records how often each class was shown in training",
            where=where,
            remedy=remedy,
        )
    try:
        recorded: dict[str, Any] = read_json(classifier.folder, DATA_FILE)["counts"]["shown"]
        counts = {name: int(recorded[name]) for name in classifier.classes}
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"unreadable ({type(error).__name__}: {error})", where=where, remedy=remedy
        ) from error
    if missing := [name for name, count in counts.items() if count <= 0]:
        raise CheckpointError(
            f"{', '.join(missing)} was never shown in training", where=where, remedy="use logit_adjustment=0"
        )
    return counts
