"""Register schemas and resolvers, which composing a configuration requires."""

from __future__ import annotations

from omegaconf import OmegaConf

from heritage.config.grammar import resolve_mapping
from heritage.config.recipe import fine_tuned, for_demo, margin_scale
from heritage.config.schema import are_schemas_registered, register_schemas
from heritage.runs.data_set_name import data_set_name
from heritage.runs.folders import home, run_folder, sweep_folder


def register() -> None:
    """Register the schemas of all commands and the ``${…:…}`` resolvers; repeated calls are harmless."""
    if OmegaConf.has_resolver("mapping") and are_schemas_registered():
        return
    register_schemas()
    for resolver in (home, run_folder, sweep_folder, data_set_name, fine_tuned, for_demo, margin_scale):
        OmegaConf.register_new_resolver(resolver.__name__, resolver, replace=True)
    OmegaConf.register_new_resolver("mapping", resolve_mapping, replace=True)
