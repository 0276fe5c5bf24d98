"""Compose a command's configuration in Python, as its command line would."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from heritage.cli import COMMANDS, heritage_cause
from heritage.config.composition_errors import COMPOSITION_ERRORS, explain_composition_error
from heritage.config.config_files import with_files
from heritage.config.faults import FaultyConfigError, did_you_mean
from heritage.config.grammar import literal
from heritage.config.overrides import expand_home, prepared_overrides
from heritage.config.recipe import require_recipe
from heritage.config.register import register
from heritage.core.files import config_dir
from heritage.errors import CommandError
from heritage.runs.hydra_node import attach_hydra


def compose(verb: str = "train", overrides: str | Iterable[str] = (), **options: Any) -> DictConfig:
    """Compose the configuration of a command.

    Args:
        verb: A command: ``train``, ``evaluate``, …
        overrides: Hydra overrides, as on the command line: ``["model=vit", "trainer.max_epochs=3"]``, or one.
            Paths and names need no quotes.
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
    words = command_overrides(verb, overrides, options)
    with explained(verb, words), global_hydra():
        with initialize_config_dir(str(config_dir().absolute()), version_base="1.3"):
            cfg = hydra_compose(verb, overrides=words, return_hydra_config=True)
        with hydra_config(cfg):
            run_folder = str(cfg.hydra.run.dir)
        with read_write(cfg.hydra), open_dict(cfg.hydra):
            cfg.hydra.runtime.output_dir = str(Path(run_folder).absolute())
        with hydra_config(cfg):
            require_recipe()
            for key, value in _hydra_values(cfg).items():
                OmegaConf.update(cfg, key, value)
    expand_home(cfg, verb)
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


def command_overrides(
    verb: str, overrides: Iterable[str], options: Mapping[str, Any], *, multirun: bool = False
) -> list[str]:
    """Return overrides and keyword arguments as overrides that Hydra reads as they are meant."""
    register()
    given, named = list(overrides), option_overrides(options)
    return [
        *prepared_overrides(verb, given, others=named, multirun=multirun),
        *prepared_overrides(verb, named, others=given, exact=True),
    ]


def option_overrides(options: Mapping[str, Any]) -> list[str]:
    """Return keyword arguments as Hydra overrides.

    Args:
        options: Values by key; two underscores stand for a dot, as in scikit-learn's ``set_params``
            (``data__root`` is ``data.root``).

    Example:
        >>> option_overrides({"model": "vit", "data__root": "my photographs", "seed": 3})
        ['model=vit', "data.root='my photographs'", 'seed=3']
    """
    return [f"{key.replace('__', '.')}={literal(value)}" for key, value in options.items()]


@contextlib.contextmanager
def explained(verb: str, overrides: list[str]) -> Iterator[None]:
    """Turn what Hydra and OmegaConf raise while composing into a `ConfigError`."""
    register()
    try:
        yield
    except FaultyConfigError as fault:
        raise FaultyConfigError(with_files(fault.faults, overrides)) from fault
    except COMPOSITION_ERRORS as fault:
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
