"""List configuration groups and their options, and compose outside of a Hydra application."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from heritage.config.grammar import literal
from heritage.core.files import config_dir

COMPOSITION_ERRORS = (HydraException, OmegaConfBaseException, yaml.YAMLError, UnicodeDecodeError)
"""What composing a configuration raises."""
ADDED = ("experiment", "sweep")
"""Groups whose options combine choices of other groups and are added by ``+group=option``."""
ADDING = ("train",)
"""Commands that have these groups."""


def compose_command(verb: str, overrides: Sequence[str], *, folders: Sequence[Path] = ()) -> DictConfig:
    """Compose ``conf/<verb>.yaml`` with overrides, Hydra's own keys included.

    The schemas and resolvers must be registered already.

    Args:
        verb: The command.
        overrides: Overrides of its configuration.
        folders: The folders of configuration files, in the order in which they are searched; by default ours
            and those that overrides name.

    Raises:
        HydraException: An override names an unknown key or option.
    """
    GlobalHydra.instance().clear()
    first, *others = folders or [config_dir()]
    places = literal([f"file://{folder.absolute()}" for folder in others])
    words = [f"hydra.searchpath={places}"] if others else []
    with initialize_config_dir(str(first.absolute()), version_base="1.3"):
        return compose(verb, overrides=[*words, *overrides], return_hydra_config=True)


def groups() -> list[str]:
    """Return the names of all groups; nested ones are written ``balance/weighting``."""
    root = config_dir()
    return sorted({path.parent.relative_to(root).as_posix() for path in root.rglob("*.yaml")} - {"."})


def groups_of(verb: str, cfg: DictConfig) -> list[str]:
    """Return the groups that a command's overrides can choose from.

    Args:
        verb: The command.
        cfg: Its composed configuration, with Hydra's own keys.
    """
    chosen = {str(group).partition("@")[0] for group in cfg.hydra.runtime.choices}
    added = {group for group in ADDED if verb in ADDING}
    return sorted({group for group in chosen if group.partition("/")[0] != "hydra"} | added)


def keys_of(cfg: DictConfig) -> list[str]:
    """Return the full keys of a configuration that have a value, without those of Hydra."""
    found: list[str] = []

    def visit(node: Any, above: str) -> None:
        for name, value in node.items():
            key = f"{above}.{name}" if above else str(name)
            if isinstance(value, dict) and key != "hydra":
                visit(value, key)
            elif key != "hydra" and not str(name).startswith("_"):
                found.append(key)

    visit(OmegaConf.to_container(cfg, resolve=False), "")
    return found


def search_path(cfg: DictConfig) -> list[Path]:
    """Return the folders that a composed configuration was read from: ours, then those of the user."""
    sources = cfg.hydra.runtime.config_sources
    return [config_dir(), *(Path(source.path) for source in sources if source.schema == "file")]


def options(group: str, *, nested: bool = False, folders: Sequence[Path] = ()) -> list[str]:
    """Return the options of a group, without the files (``_name.yaml``) that they share.

    Args:
        group: The name of the group.
        nested: Whether subfolders hold further options of the group, such as ``thesis/baseline``; most
            subfolders are groups themselves.
        folders: The folders of configuration files; by default ours only.
    """
    names = set()
    for folder in (root / group for root in folders or [config_dir()]):
        names |= {path.relative_to(folder) for path in (folder.rglob if nested else folder.glob)("*.yaml")}
    return sorted(name.with_suffix("").as_posix() for name in names if not name.name.startswith("_"))
