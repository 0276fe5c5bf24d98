"""Hydra's own node ``hydra`` of a configuration (chosen options, overrides), and ``.hydra/`` of a run folder.

A Hydra application keeps the node in `HydraConfig` and writes it to ``.hydra/`` of the run folder. For a
configuration that was composed in Python it is attached to the configuration itself, in OmegaConf's cache,
which copies share.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from heritage.core.files import write_text
from heritage.runs.files import HYDRA_FOLDER

_KEY = "heritage.hydra"


def attach_hydra(cfg: DictConfig, node: DictConfig, resolved: Mapping[str, tuple[str, Any]]) -> None:
    """Keep Hydra's node with a configuration that was composed without an application.

    Args:
        cfg: The configuration.
        node: What Hydra composed as its key ``hydra``.
        resolved: By key, an interpolation of the node (``${hydra:…}``) and the value that replaces it.
    """
    OmegaConf.get_cache(cfg)[_KEY] = {
        "node": DictConfig(OmegaConf.to_container(node)),
        "resolved": dict(resolved),
    }


def hydra_node(cfg: DictConfig) -> DictConfig | None:
    """Return Hydra's node: the attached one, or the application's; None if there is neither."""
    attached: DictConfig | None = OmegaConf.get_cache(cfg).get(_KEY, {}).get("node")
    if attached is not None:
        return attached
    application: Any = HydraConfig.instance().cfg if HydraConfig.initialized() else None
    return None if application is None else application.hydra


def chosen_options(cfg: DictConfig) -> dict[str, str]:
    """Return the option chosen in each configuration group; empty if that is not known."""
    node = hydra_node(cfg)
    return {} if node is None else {str(group): str(name) for group, name in node.runtime.choices.items()}


def write_hydra_record(cfg: DictConfig, folder: Path) -> None:
    """Write ``.hydra/`` into the run folder of an attached configuration, as an application would."""
    node: DictConfig | None = OmegaConf.get_cache(cfg).get(_KEY, {}).get("node")
    if node is None:
        return
    cfg = cfg.copy()
    for key, (interpolation, value) in OmegaConf.get_cache(cfg)[_KEY]["resolved"].items():
        if OmegaConf.select(cfg, key) == value:  # not changed since
            OmegaConf.update(cfg, key, interpolation)
    target = folder / HYDRA_FOLDER
    target.mkdir(parents=True, exist_ok=True)
    records = {"config": cfg, "hydra": OmegaConf.create({"hydra": node}), "overrides": node.overrides.task}
    for name, content in records.items():
        write_text(target / f"{name}.yaml", OmegaConf.to_yaml(content))
