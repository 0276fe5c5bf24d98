"""Compose a command's configuration in Python, as the command does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from heritage.api.overrides import command_overrides, require_command
from heritage.cli import heritage_cause
from heritage.config.compose import COMPOSITION_ERRORS
from heritage.config.composition_errors import explain_composition_error
from heritage.config.config_files import with_files
from heritage.config.faults import FaultyConfigError
from heritage.config.overrides import expand_home
from heritage.config.recipe import require_recipe
from heritage.config.register import register
from heritage.core.files import config_dir
from heritage.runs.hydra_node import attach_hydra
from heritage.runs.locks import planned_folder


def compose(verb: str = "train", *overrides: str | Iterable[str], **options: Any) -> DictConfig:
    """Compose the configuration of a command.

    Args:
        verb: A command: ``train``, ``evaluate``, …
        *overrides: Hydra overrides, as the command takes them: ``"model=vit", "trainer.max_epochs=3"``, or a
            list of them; paths and names need no quotes.
        **options: Further overrides by name, see `heritage.run`.

    Returns:
        The configuration; change it as you like, then give it to `heritage.build`. Paths that Hydra would
        fill in (``paths.run``) are resolved.

    Raises:
        ConfigError: A key, an option or a value does not exist; the message names the nearest one.
        CommandError: There is no such command.
        ArgumentError: An argument has the wrong type.

    Example:
        >>> cfg = heritage.compose("train", ["model=vit", "balance=oversample"], seed=3)
        >>> cfg.seed, cfg.model._target_
        (3, 'heritage.models.vit_sizes.vit')
    """
    require_command(verb)
    words = command_overrides(verb, overrides, options)
    with explained(verb, words), global_hydra():
        with initialize_config_dir(str(config_dir().absolute()), job_name=verb, version_base="1.3"):
            # Hydra's application adds the mode, too: both leave the same record.
            cfg = hydra_compose(verb, [*words, "hydra.mode=RUN"], return_hydra_config=True)
        expand_home(cfg, verb)
        with hydra_config(cfg):
            run_folder = planned_folder(cfg)
        with read_write(cfg.hydra), open_dict(cfg.hydra):
            cfg.hydra.runtime.output_dir = str(run_folder.absolute())
        with hydra_config(cfg):
            require_recipe()
            resolved = _hydra_values(cfg)
            for key, (_, value) in resolved.items():
                OmegaConf.update(cfg, key, value)
    attach_hydra(cfg, cfg.hydra, resolved)
    with read_write(cfg), open_dict(cfg):
        del cfg["hydra"]
    return cfg


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
    """Initialise Hydra for a block, also inside another Hydra application."""
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


def _hydra_values(cfg: DictConfig) -> dict[str, tuple[str, Any]]:
    """Return the interpolations, by key, that are taken from Hydra's own node, and their values."""
    found: dict[str, str] = {}

    def visit(node: Any, path: str) -> None:
        if isinstance(node, dict):
            for key, value in node.items():
                visit(value, f"{path}.{key}" if path else str(key))
        elif isinstance(node, str) and "${hydra:" in node:
            found[path] = node

    plain = OmegaConf.to_container(cfg, resolve=False)
    visit(
        {key: value for key, value in plain.items() if key != "hydra"} if isinstance(plain, dict) else {}, ""
    )
    return {key: (text, OmegaConf.select(cfg, key)) for key, text in found.items()}
