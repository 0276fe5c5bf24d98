"""Read a published network as a checkpoint: weights from safetensors, everything else from JSON.

What is read is turned into the content of a checkpoint and passes the same checks
(`heritage.models.checkpoint.parse_checkpoint`): exact tables of builders, finite weights, sizes and classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from pydantic import Field

from heritage.core.json_files import Count, JsonModel, read_json_file
from heritage.core.version import __version__
from heritage.errors import CheckpointError
from heritage.models.weights import INITIAL_WEIGHTS, OUR_PREFIX, OUR_RECORD
from heritage.runs.published import MAX_RECORD_BYTES, PUBLISHED_RECORD
from heritage.runs.training_images import RECORD

_AGAIN = "download the folder again; or give a checkpoint that `heritage train` wrote"


class PublishedRecord(JsonModel):
    """``heritage_run.json``."""

    classes: list[str]
    fingerprint: str
    epoch: Count
    config: dict[str, Any]
    computed: list[str] = Field([])
    initial_weights: dict[str, str | None] | None = None


def published_record(
    *,
    classes: Iterable[str],
    fingerprint: str,
    epoch: int,
    config: Mapping[str, Any],
    training_images: Mapping[str, Any],
    computed: Iterable[str],
    initial_weights: Mapping[str, str | None] | None = None,
) -> dict[str, Any]:
    """Return the content of ``heritage_run.json``.

    Args:
        classes: The class list, in the order of the logits.
        fingerprint: The fingerprint of the data set.
        epoch: Index of the epoch of the checkpoint.
        config: The run's configuration, without paths of the machine.
        training_images: The record of `heritage.runs.training_images.TrainingImages`.
        initial_weights: The record of `heritage.models.initial_weights.InitialWeights`.
        computed: Tensors of ``model.safetensors`` that only timm stores; this package computes them.
    """
    return {
        "heritage": __version__,
        "classes": list(classes),
        "fingerprint": fingerprint,
        "epoch": epoch,
        "config": dict(config),
        RECORD: dict(training_images),
        "computed": sorted(computed),
        INITIAL_WEIGHTS: None if initial_weights is None else dict(initial_weights),
    }


def open_published(file: Path) -> dict[str, Any]:
    """Return the weights and the record of a published network in the form of a checkpoint.

    Args:
        file: The weights, with the record beside them.

    Raises:
        CheckpointError: A file is damaged, too large, or has another form.
    """
    record_file = file.parent / PUBLISHED_RECORD
    try:
        record = read_json_file(record_file, PublishedRecord, limit=MAX_RECORD_BYTES)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"unreadable: {error}", where=record_file, remedy=_AGAIN) from error
    try:
        weights = safetensors.torch.load_file(file)
    except (safetensors.SafetensorError, OSError) as error:
        raise CheckpointError(f"damaged: {error}", where=file, remedy=_AGAIN) from error
    computed = set(record.get("computed", ()))
    state = {f"{OUR_PREFIX}{name}": value for name, value in weights.items() if name not in computed}
    about = {name: record.get(name) for name in ("classes", "fingerprint", "config", RECORD)}
    if INITIAL_WEIGHTS in record:  # files of earlier versions lack it
        about[INITIAL_WEIGHTS] = record[INITIAL_WEIGHTS]
    return {"state_dict": state, "epoch": record["epoch"], OUR_RECORD: about}


def published_classes(file: Path) -> tuple[str, ...] | None:
    """Return the classes that a published network records; None if there is no readable record."""
    record = published_run(file)
    return None if record is None else tuple(record["classes"])


def published_run(file: Path) -> dict[str, Any] | None:
    """Return the record of a published network; None if there is no readable one."""
    try:
        record: dict[str, Any] = read_json_file(
            file.parent / PUBLISHED_RECORD, PublishedRecord, limit=MAX_RECORD_BYTES
        )
    except (OSError, ValueError):
        return None
    return record
