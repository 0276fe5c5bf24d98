"""The group `recipe`: what a network wants otherwise than the defaults of optimizer and scheduler.

Hydra chooses ``recipe/<optimizer>_<model>.yaml`` by itself, where there is such a file, and would pass
over one that a person names and that does not exist.
"""

from __future__ import annotations

from pathlib import Path

from hydra.core.hydra_config import HydraConfig

from heritage.config.faults import did_you_mean
from heritage.errors import ConfigError

_GROUP = "recipe"


def require_recipe() -> None:
    """Refuse a recipe that the command line names and that no folder of configurations holds.

    Raises:
        ConfigError: With the nearest name that there is.
    """
    hydra = HydraConfig.get()
    sources = [Path(source.path) for source in hydra.runtime.config_sources if source.schema == "file"]
    known = {path.stem for source in sources for path in (source / _GROUP).glob("*.yaml")}
    for word in hydra.overrides.task:
        group, _, name = str(word).partition("=")
        if group == _GROUP and name not in known:
            raise ConfigError(f"there is no such recipe; {did_you_mean(name, known)}", where=word)
