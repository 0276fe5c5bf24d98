"""The group `recipe`: what a network wants otherwise than the defaults of optimizer and scheduler.

Hydra chooses ``recipe/<optimizer>_<model>.yaml`` by itself, where there is such a file, and would pass
over one that a person names and that does not exist.
"""

from __future__ import annotations

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from heritage.config.faults import did_you_mean
from heritage.errors import ConfigError

_GROUP = "recipe"


def fine_tuned(rate: float, otherwise: float, *, _root_: DictConfig) -> float:
    """Return the learning rate of a network that brings weights and trains more than its classifier.

    Made known to OmegaConf as ``${fine_tuned:…}``.

    Args:
        rate: For such a network.
        otherwise: For one from scratch, or a classifier on features that stay as they are.
        _root_: The whole configuration.
    """
    weights = OmegaConf.select(_root_, "model.weights", throw_on_missing=False)
    finetune = OmegaConf.select(_root_, "finetune") or {}
    features_stay = finetune.get("depth") == "head" and not finetune.get("unfreeze_every")
    return otherwise if weights in (None, "none") or features_stay else rate


def require_recipe() -> None:
    """Refuse a recipe that the command line names and that no folder of configurations holds.

    Raises:
        ConfigError: With the nearest name that there is.
    """
    hydra = HydraConfig.get()
    sources = [Path(source.path) for source in hydra.runtime.config_sources if source.schema == "file"]
    known = {
        path.stem
        for source in sources
        for path in (source / _GROUP).glob("*.yaml")
        if not path.name.startswith("_")
    }
    for word in hydra.overrides.task:
        group, _, name = str(word).partition("=")
        if group == _GROUP and name not in known:
            raise ConfigError("there is no such recipe", where=word, remedy=did_you_mean(name, known))
