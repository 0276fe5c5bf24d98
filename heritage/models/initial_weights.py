"""The pretrained weights that a network starts from, directly or by way of another run.

A run records their name and licence in its checkpoints, and a run that starts from such a checkpoint keeps
them, since a licence may also cover networks that were trained from the weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from heritage.errors import HeritageError
from heritage.models.hub import pretrained_cfg, weights_file
from heritage.models.network import NONE, is_pretrained
from heritage.models.published import published_run
from heritage.models.weight_licences import InitialWeights
from heritage.models.weights import INITIAL_WEIGHTS, recorded_run
from heritage.runs.published import is_published_file


def timm_weights(name: str) -> InitialWeights:
    """Return timm's weights of a name with timm's record of their licence.

    Args:
        name: ``architecture.tag``.

    Raises:
        ConfigError: timm has no such weights.
    """
    return InitialWeights.of(name, pretrained_cfg(name).license)


def initial_weights(model: Mapping[str, Any]) -> InitialWeights | None:
    """Return the pretrained weights that a network starts from, also by way of another run.

    Args:
        model: The ``model`` section of a configuration.

    Returns:
        None for a network from scratch, and for files that record nothing.

    Raises:
        HeritageError: timm has no such weights, or the file cannot be read.
    """
    weights, name = model.get("weights"), model.get("name")
    if is_pretrained(weights):
        return timm_weights(str(name)) if name else None
    if weights in (None, NONE):
        return None
    path = weights_file(str(weights))
    run = published_run(path) if is_published_file(path) else recorded_run(path)
    return None if run is None else recorded_initial_weights(run)


def recorded_initial_weights(run: Mapping[str, Any]) -> InitialWeights | None:
    """Return the pretrained weights that the record of a run in a checkpoint names.

    Checkpoints of earlier versions record the configuration alone, which names timm's weights.

    Args:
        run: The record.
    """
    if INITIAL_WEIGHTS in run:
        return InitialWeights.read(run[INITIAL_WEIGHTS])
    config = run.get("config")
    model = config.get("model") if isinstance(config, Mapping) else None
    name = model.get("name") if isinstance(model, Mapping) else None
    if not isinstance(model, Mapping) or not isinstance(name, str) or not is_pretrained(model.get("weights")):
        return None
    try:
        return timm_weights(name)
    except HeritageError:
        return None  # a name that the installed timm does not know
