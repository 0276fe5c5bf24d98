"""Compose a command's configuration in Python, as its command line would."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from os import PathLike, fspath
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from heritage.cli import COMMANDS, heritage_cause
from heritage.config.faults import FaultyConfigError, did_you_mean, explain_composition_error
from heritage.config.recipe import require_recipe
from heritage.config.register import register
from heritage.core.files import config_dir
from heritage.errors import CommandError
from heritage.runs.hydra_node import attach_hydra
from heritage.runs.locks import planned_folder


def compose(verb: str = "train", overrides: str | Iterable[str] = (), **options: Any) -> DictConfig:
    """Compose the configuration of a command.

    Args:
        verb: A command: ``train``, ``evaluate``, …
        overrides: Hydra overrides, as on the command line: ``["model=vit", "trainer.max_epochs=3"]``, or one.
        **options: Further overrides by name, see `heritage.run`.

    Returns:
        The configuration; change it as you like, then give it to `heritage.build`. Paths that Hydra would
        fill in (``paths.run``) are resolved.

    Raises:
        ConfigError: A key, an option or a value does not exist; the message names the nearest one.
        CommandError: There is no such command.

    Example:
        >>> cfg = heritage.compose("train", ["model=vit", "balance=oversample"], seed=3)
        >>> cfg.seed, cfg.model._target_
        (3, 'heritage.models.vit_sizes.vit')
    """
    require_command(verb)
    if isinstance(overrides, str):
        overrides = [overrides]
    words = [*overrides, *option_overrides(options)]
    with explained(verb, words), global_hydra():
        with initialize_config_dir(str(config_dir().absolute()), version_base="1.3"):
            cfg = hydra_compose(verb, overrides=words, return_hydra_config=True)
        with hydra_config(cfg):
            run_folder = planned_folder(cfg)
        with read_write(cfg.hydra), open_dict(cfg.hydra):
            cfg.hydra.runtime.output_dir = str(run_folder.absolute())
        with hydra_config(cfg):
            require_recipe()
            for key, value in _hydra_values(cfg).items():
                OmegaConf.update(cfg, key, value)
    attach_hydra(cfg, cfg.hydra)
    with read_write(cfg), open_dict(cfg):
        del cfg["hydra"]
    return cfg


def require_command(verb: str) -> None:
    """Raise unless there is a command of this name.

    Raises:
        CommandError: There is none.
    """
    if verb not in COMMANDS:
        raise CommandError("no such command", where=verb, remedy=did_you_mean(verb, COMMANDS))


def option_overrides(options: Mapping[str, Any]) -> list[str]:
    """Return keyword arguments as Hydra overrides.

    Args:
        options: Values by key; two underscores stand for a dot, as in scikit-learn's ``set_params``
            (``data__root`` is ``data.root``).

    Example:
        >>> option_overrides({"model": "vit", "data__root": "my photographs", "seed": 3})
        ['model=vit', "data.root='my photographs'", 'seed=3']
    """
    return [f"{key.replace('__', '.')}={_literal(value)}" for key, value in options.items()]


_BARE = re.compile(r"[A-Za-z_/][\w./-]*", re.ASCII)
_WORDS = {"true", "false", "null", "nan", "inf"}
_KEY_ESCAPED = re.compile(r"[\\()\[\]{}:=, \t]")


def _literal(value: Any) -> str:
    """Return a value in Hydra's override grammar."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        pairs = [_KEY_ESCAPED.sub(r"\\\g<0>", str(key)) + ":" + _literal(item) for key, item in value.items()]
        return "{" + ",".join(pairs) + "}"
    if isinstance(value, set | frozenset):
        value = sorted(value)
    if isinstance(value, list | tuple):
        return "[" + ",".join(_literal(item) for item in value) + "]"
    text = fspath(value) if isinstance(value, PathLike) else str(value)
    if _BARE.fullmatch(text) and text.lower() not in _WORDS:
        return text
    # A quote, and the end, halves the backslashes before it.
    return "'" + re.sub(r"(\\*)('|$)", lambda found: found[1] * 2 + ("\\'" if found[2] else ""), text) + "'"


@contextlib.contextmanager
def explained(verb: str, overrides: list[str]) -> Iterator[None]:
    """Turn what Hydra and OmegaConf raise while composing into a `ConfigError`."""
    register()
    try:
        yield
    except (HydraException, OmegaConfBaseException) as fault:
        if (cause := heritage_cause(fault)) is not None:
            raise cause from fault
        raise FaultyConfigError(explain_composition_error(fault, verb, overrides)) from fault


@contextlib.contextmanager
def global_hydra() -> Iterator[None]:
    """Let a block initialise Hydra, also inside of somebody's own Hydra application."""
    before = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        yield
    finally:
        GlobalHydra.instance().hydra = before  # composing replaces the instance


@contextlib.contextmanager
def hydra_config(cfg: DictConfig) -> Iterator[None]:
    """Resolve ``${hydra:…}`` from this configuration in a block."""
    instance = HydraConfig.instance()
    before = instance.cfg
    instance.cfg = None
    instance.set_config(cfg)
    try:
        yield
    finally:
        instance.cfg = before


def _hydra_values(cfg: DictConfig) -> dict[str, Any]:
    """Return the values, by key, that are taken from Hydra's own node."""
    keys: list[str] = []

    def visit(node: Any, path: str) -> None:
        if isinstance(node, dict):
            for key, value in node.items():
                visit(value, f"{path}.{key}" if path else str(key))
        elif isinstance(node, str) and "${hydra:" in node:
            keys.append(path)

    plain = OmegaConf.to_container(cfg, resolve=False)
    visit(
        {key: value for key, value in plain.items() if key != "hydra"} if isinstance(plain, dict) else {}, ""
    )
    return {key: OmegaConf.select(cfg, key) for key in keys}
