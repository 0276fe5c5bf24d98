"""The group `recipe`: hyperparameters of a network that differ from the optimizer's and scheduler's defaults.

Hydra chooses ``recipe/<optimizer>_<model>.yaml`` automatically if the file exists, and silently ignores a
recipe that does not exist.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from heritage.config.faults import did_you_mean
from heritage.errors import ConfigError

_GROUP = "recipe"
_DEMO_RUN = {
    "data.reader._target_": "heritage.data.readers.demo",
    "model.name": "resnet10t.c3_in1k",
    "model.weights": "none",
}


def fine_tuned(rate: float, otherwise: float, *, _root_: DictConfig) -> float:
    """Return the learning rate for fine-tuning, or that for training from scratch.

    The OmegaConf resolver ``${fine_tuned:…}``.

    Args:
        rate: The rate for pretrained networks of which more than the classifier is trained.
        otherwise: The rate for networks from scratch, and for a classifier on frozen features.
        _root_: The whole configuration.
    """
    weights = OmegaConf.select(_root_, "model.weights", throw_on_missing=False)
    finetune = OmegaConf.select(_root_, "finetune") or {}
    frozen = finetune.get("depth") == "head" and not finetune.get("unfreeze_every")
    return otherwise if weights in (None, "none") or frozen else rate


def margin_scale(*, _root_: DictConfig) -> float | None:
    """Return the factor that a network's classifier gives its cosines; None for a linear classifier.

    The OmegaConf resolver ``${margin_scale:}``: margins of LDAM are those of cosines.

    Args:
        _root_: The whole configuration.
    """
    from heritage.config.network_parts import COSINE_SCALE  # imports pydantic, which --help does not need

    cosine = OmegaConf.select(_root_, "model.head", throw_on_missing=False) == "cosine"
    return COSINE_SCALE if cosine else None


def for_demo(number: float, otherwise: float, *, _root_: DictConfig) -> float:
    """Return one of two numbers: for the default network on the demo set, which learns it quickly, or else.

    The OmegaConf resolver ``${for_demo:…}``.

    Args:
        number: For the demo set with the default network from scratch.
        otherwise: For all other data sets and networks.
        _root_: The whole configuration.
    """
    values = [OmegaConf.select(_root_, key, throw_on_missing=False) for key in _DEMO_RUN]
    return number if values == list(_DEMO_RUN.values()) else otherwise


def require_recipe() -> None:
    """Raise an error if the command line names a recipe that does not exist.

    Raises:
        ConfigError: The message names the nearest recipe.
    """
    hydra = HydraConfig.get()
    sources = [Path(source.path) for source in hydra.runtime.config_sources if source.schema == "file"]
    known = {
        path.stem
        for source in sources
        for path in (source / _GROUP).glob("*.yaml")
        if not path.name.startswith("_")
    }
    # Overrides as they were given: iterating would resolve interpolations inside them.
    for word in cast("list[Any]", OmegaConf.to_container(hydra.overrides.task, resolve=False)):
        group, _, name = str(word).partition("=")
        if group == _GROUP and name not in known:
            raise ConfigError("there is no such recipe", where=word, remedy=did_you_mean(name, known))
