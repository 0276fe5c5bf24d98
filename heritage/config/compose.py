"""List configuration groups and their options, and compose outside of a Hydra application."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from heritage.core.files import config_dir

ADDED = ("experiment", "sweep")
"""Groups whose options combine choices of other groups and are added by ``+group=option``."""
_CONFIG_DIR_FLAGS = ("--config-dir", "-cd")
_user_dirs: ContextVar[tuple[Path, ...]] = ContextVar("user_config_dirs", default=())


def split_config_dirs(arguments: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Return the folders of ``--config-dir`` among command-line arguments, and the other arguments.

    Example:
        >>> split_config_dirs(["--config-dir", "mine", "seed=1", "--help"])[1]
        ['seed=1', '--help']
    """
    folders: list[Path] = []
    others: list[str] = []
    words = iter(arguments)
    for word in words:
        flag, equals, value = word.partition("=")
        if flag in _CONFIG_DIR_FLAGS:
            folders.append(Path(value if equals else next(words, "")))
        else:
            others.append(word)
    return folders, others


@contextlib.contextmanager
def user_config_dirs(folders: Sequence[Path]) -> Iterator[None]:
    """Use the options in a user's folders of configuration files, beside those of the package, in a block."""
    token = _user_dirs.set(tuple(folders))
    try:
        yield
    finally:
        _user_dirs.reset(token)


def compose_command(verb: str, overrides: Sequence[str]) -> DictConfig:
    """Compose ``conf/<verb>.yaml`` with overrides, Hydra's own keys included.

    The schemas and resolvers must be registered already.

    Raises:
        HydraException: An override names an unknown key or option.
    """
    GlobalHydra.instance().clear()
    words = list(overrides)
    if folders := _user_dirs.get():
        words.append(f"hydra.searchpath=[{','.join(repr(f'file://{path.absolute()}') for path in folders)}]")
    with initialize_config_dir(str(config_dir().absolute()), version_base="1.3"):
        return compose(verb, overrides=words, return_hydra_config=True)


def groups() -> list[str]:
    """Return the names of all groups; nested ones are written ``balance/weighting``."""
    names = {
        path.parent.relative_to(root).as_posix() for root in _config_dirs() for path in root.rglob("*.yaml")
    }
    return sorted(names - {"."})


def options(group: str, *, nested: bool = False) -> list[str]:
    """Return the options of a group, without the files (``_name.yaml``) that they share.

    Args:
        group: The name of the group.
        nested: Whether subfolders hold further options of the group, such as ``thesis/baseline``; most
            subfolders are groups themselves.
    """
    folders = [root / group for root in _config_dirs()]
    names = {
        path.relative_to(folder)
        for folder in folders
        for path in (folder.rglob if nested else folder.glob)("*.yaml")
    }
    return sorted(name.with_suffix("").as_posix() for name in names if not name.name.startswith("_"))


def _config_dirs() -> tuple[Path, ...]:
    return config_dir(), *_user_dirs.get()
