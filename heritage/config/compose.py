"""What there is to compose, and composing it outside of a Hydra application."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from heritage.core.files import config_dir

ADDED = ("experiment", "sweep")
"""Groups whose options are sets of choices, added on top of the others: ``+group=option``."""


def compose_command(verb: str, overrides: Sequence[str]) -> DictConfig:
    """Compose ``conf/<verb>.yaml`` with overrides, Hydra's own keys included.

    The schemas and resolvers must be registered already.

    Raises:
        HydraException: An override names what there is not.
    """
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(config_dir().absolute()), version_base="1.3"):
        return compose(verb, overrides=list(overrides), return_hydra_config=True)


def groups() -> list[str]:
    """Return the names of all groups, nested ones as ``balance/weighting``."""
    root = config_dir()
    return sorted({path.parent.relative_to(root).as_posix() for path in root.rglob("*.yaml")} - {"."})


def search_path(cfg: DictConfig) -> list[Path]:
    """Return the folders that a composed configuration was read from: ours, then those of the user."""
    sources = cfg.hydra.runtime.config_sources
    return [config_dir(), *(Path(source.path) for source in sources if source.schema == "file")]


def options(group: str, *, nested: bool = False, folders: Sequence[Path] = ()) -> list[str]:
    """Return what a group offers, without the parts (``_name.yaml``) that its files share.

    Args:
        group: Its name.
        nested: Whether folders below it hold more of its options, such as ``thesis/baseline``; most hold
            groups of their own.
        folders: Where to look; by default in our folder alone.
    """
    names = set()
    for folder in (root / group for root in folders or [config_dir()]):
        names |= {path.relative_to(folder) for path in (folder.rglob if nested else folder.glob)("*.yaml")}
    return sorted(name.with_suffix("").as_posix() for name in names if not name.name.startswith("_"))
