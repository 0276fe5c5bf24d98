"""The text of ``heritage <verb> --help``.

Hydra's own help reads every configuration file and lists the groups of all commands; this one shows the
groups of one command and the chosen options.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from omegaconf import DictConfig, OmegaConf, open_dict

from heritage.config.compose import ADDED, ADDING, compose_command, options, search_path
from heritage.config.grammar import literal
from heritage.core.files import config_dir

_FLAGS = frozenset({"--help", "-h"})
_CONFIG_DIR = ("--config-dir", "-cd")
_FOOTER = """\
Choose an option:      group=option         any value:  key=value or section.key=value
Paths and names are taken as the shell passes them; with -m, commas separate values.
Show the configuration: --cfg job           Hydra's own flags:  --hydra-help"""


def asks_for_help(arguments: Sequence[str]) -> bool:
    """Return whether a command line has ``--help`` or ``-h`` and no other flag but ``--config-dir``."""
    flags = {word.partition("=")[0] for word in arguments if word.startswith("-")}
    return bool(flags & _FLAGS) and flags <= _FLAGS | {*_CONFIG_DIR}


def config_dir_override(arguments: Sequence[str]) -> list[str]:
    """Return the ``--config-dir`` of a command line as an override of Hydra's search path."""
    for word, following in itertools.pairwise([*arguments, ""]):
        flag, equals, value = word.partition("=")
        if flag in _CONFIG_DIR:
            folder = Path(value if equals else following).expanduser().resolve()
            return [f"hydra.searchpath={literal([f'file://{folder}'])}"]
    return []


def help_text(
    verb: str, overrides: Sequence[str], sections: Mapping[str, Sequence[str]] = MappingProxyType({})
) -> str:
    """Return a command's help: its description, groups and configuration.

    Args:
        verb: The command.
        overrides: The overrides of its command line; the configuration is shown with them.
        sections: Further sections: title → rows.

    Raises:
        HydraException: An override names an unknown key or option.
    """
    cfg = compose_command(verb, overrides)
    parts = [_header(verb)]
    folders = search_path(cfg)
    if rows := _group_rows(_chosen(cfg), folders):
        parts += [_section("Groups and their options (the chosen one in brackets)", rows)]
    if verb in ADDING:
        rows = [f"+{group}: {', '.join(options(group, nested=True, folders=folders))}" for group in ADDED]
        parts += [_section("Presets of several groups, added with a plus", rows)]
    parts += [_section(title, rows) for title, rows in sections.items()]
    with open_dict(cfg):
        del cfg["hydra"]
    parts += [_section("Configuration", [OmegaConf.to_yaml(cfg).rstrip()]), _FOOTER]
    return "\n\n".join(parts)


def _header(verb: str) -> str:
    # A command is described only in the header of conf/<verb>.yaml.
    lines = []
    for line in (config_dir() / f"{verb}.yaml").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").removeprefix(" "))
    return "\n".join(lines)


def _section(title: str, rows: Sequence[str]) -> str:
    return "\n".join([f"== {title} ==", *rows])


def _chosen(cfg: DictConfig) -> dict[str, str]:
    choices = cfg.hydra.runtime.choices
    names = {str(group): str(choice) for group, choice in choices.items()}
    return {group: names[group] for group in sorted(names) if group.partition("/")[0] != "hydra"}


def _group_rows(chosen: dict[str, str], folders: Sequence[Path]) -> list[str]:
    rows = []
    for key, choice in chosen.items():
        names = options(key.partition("@")[0], folders=folders)
        if names and names != [choice]:
            rows.append(f"{key}: {', '.join(f'[{name}]' if name == choice else name for name in names)}")
    return rows
