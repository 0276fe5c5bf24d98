"""Post-hoc logit adjustment: a trained network is asked as if all classes had been equally frequent."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import torch
from hydra.utils import get_object

from heritage.errors import CheckpointError, ConfigError
from heritage.inference.checkpoint import NormalizedModel, TrainedClassifier
from heritage.runs.files import DATA_FILE

_MOST = 100.0  # beyond it the rarest class is the answer to everything


def adjusted(trained: TrainedClassifier, tau: float) -> TrainedClassifier:
    """Return a classifier whose logits are z − τ · log π (Menon et al. 2021, equation 9).

    π are the parts of the classes among the images that an epoch of its training showed. τ = 0 and equal
    parts change no answer.

    Args:
        trained: A classifier in its run folder, which says how often each class was shown.
        tau: The strength τ.

    Raises:
        CheckpointError: The folder does not say it, or a class was never shown.
        ConfigError: τ is no number from 0 on, or a useless one.
    """
    if not 0 <= tau <= _MOST:
        raise ConfigError(
            f"not a number from 0 to {_MOST:g}", where=f"logit_adjustment={tau}", remedy="1 is the usual"
        )
    shown = _shown(trained)
    shares = torch.tensor([shown[name] for name in trained.classes], dtype=torch.float64)
    shift = -tau * torch.log(shares / shares.sum())
    model = NormalizedModel(trained.model.net, shift.float()).eval()
    return dataclasses.replace(trained, model=model)


def adjusted_already(trained: TrainedClassifier) -> str | None:
    """Say what of a classifier's training went by its classes' frequencies; None where nothing did."""
    balance = trained.config["balance"]
    loss = balance["loss"]["_target_"]
    if getattr(get_object(loss), "uses_counts", False):
        return f"its loss ({loss.rpartition('.')[2]})"
    sampling = balance["sampling"]["_target_"]
    if not getattr(get_object(sampling), "constant_proportions", True):
        return f"its sampling, which changed after the epoch that is counted ({sampling.rpartition('.')[2]})"
    weighting = balance["weighting"]["_target_"].rpartition(".")[2]
    return None if weighting == "no_weighting" else f"its class weights ({weighting})"


def _shown(trained: TrainedClassifier) -> dict[str, int]:
    remedy = "name the run folder as heritage.train left it, or leave logit_adjustment=0"
    where = trained.file if trained.folder is None else trained.folder / DATA_FILE
    if trained.folder is None or not where.is_file():
        raise CheckpointError(
            "nothing says here how often each class was shown in training", where=where, remedy=remedy
        )
    try:
        counts: dict[str, Any] = json.loads(where.read_text(encoding="utf-8"))["counts"]["shown"]
        found = {name: int(counts[name]) for name in trained.classes}
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"unreadable ({type(error).__name__}: {error})", where=where, remedy=remedy
        ) from error
    if never := [name for name, count in found.items() if count <= 0]:
        raise CheckpointError(
            f"{', '.join(never)} was never shown in training", where=where, remedy="leave logit_adjustment=0"
        )
    return found
