"""Describe faults of a configuration, each in one line with the nearest valid name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf

from heritage.config.compose import ADDED, compose_command, groups, options
from heritage.core.taxonomy import suggestion
from heritage.errors import ConfigError
from heritage.runs.compat import RENAMED_CHOICES, RENAMED_KEYS, RENAMED_OPTIONS

_UNKNOWN_KEY = re.compile(r"Could not override '(?P<key>[^']+)'")
_UNKNOWN_IN_FILE = re.compile(
    r"(?:In '(?P<file>[^']+)': .*\n)?Key '(?P<key>[^']+)' not in '\w+'(?:\s+full_key: (?P<path>\S+))?"
)
_UNKNOWN_DELETED = re.compile(r"Could not delete from config\. '(?P<key>[^']+)' does not exist")
_SEVERAL = re.compile(r"Ambiguous value for argument '(?P<override>[^']+)'")
_EACH = "to run each of them add -m (from Python: multirun=True)"
_VALUE = re.compile(r"Error merging override (?P<override>\S+)")


class FaultyConfigError(ConfigError):
    """All faults of a configuration.

    Attributes:
        faults: One line each.
    """

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__(" | ".join(self.faults), where="configuration", remedy="correct these options")

    def __str__(self) -> str:
        return self.what

    def __reduce__(self) -> tuple[object, ...]:
        return FaultyConfigError, (self.faults,)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``"did you mean 'x'?"``, or the list to choose from if no name is close.

    For a key of an earlier version it is the new name, if that is among the known ones.
    """
    names = sorted(known)
    if RENAMED_KEYS.get(word) in names:
        return f"it is now called '{RENAMED_KEYS[word]}'"
    return suggestion(word, names) if names else "it takes no keys"


def explain_composition_error(fault: BaseException, verb: str, overrides: Sequence[str]) -> list[str]:
    """Return what Hydra or OmegaConf rejected, one line for each fault, with the nearest valid names.

    If a key is unknown, all unknown keys among the overrides are listed at once.

    Args:
        fault: The exception that composing raised.
        verb: The command.
        overrides: Its overrides.
    """
    text = str(fault)
    if isinstance(fault, MissingConfigException) and fault.missing_cfg_file:
        return [_missing_file(fault, text)]
    if isinstance(fault, OverrideParseException):
        return [f"cannot read '{fault.override}' ({_first_line(text)}); write key=value"]
    if match := _SEVERAL.search(text):
        key, _, values = match["override"].partition("=")
        as_list = "" if _key(key) in groups() else f", or write a list, {key}=[{values}]"
        return [f"{key}={values}: one run takes one value; {_EACH}{as_list}"]
    if "Error resolving interpolation" in text and (lists := _lists_of_options(overrides)):
        return [f"{word}: this group takes one option; {_EACH} and leave the brackets out" for word in lists]
    if match := _UNKNOWN_KEY.search(text):
        return _unknown_overrides(verb, overrides) or [_unknown_in_sweep(verb, match["key"])]
    if match := _UNKNOWN_IN_FILE.search(text):
        path = match["path"] or match["key"]
        file = f"{match['file']}.yaml" if match["file"] else "a configuration file"
        return [f"{path}: {file} sets it, but {_explain_unknown(compose_command(verb, []), path, groups())}"]
    if match := _UNKNOWN_DELETED.search(text):
        key = match["key"]
        return [f"~{key}: {_explain_unknown(compose_command(verb, []), key, groups())}"]
    if match := _VALUE.search(text):
        return [f"{match['override']}: {_first_line(str(fault.__cause__ or text))}"]
    cause = f" ({_first_line(str(fault.__cause__))})" if fault.__cause__ else ""
    return [_first_line(text) + cause]


def _lists_of_options(overrides: Sequence[str]) -> list[str]:
    known = groups()
    return [word for word in overrides if _key(word) in known and word.partition("=")[2].startswith("[")]


def _missing_file(fault: MissingConfigException, text: str) -> str:
    name = str(fault.missing_cfg_file)
    group, _, option = name.rpartition("/")
    known = fault.options or options(group)  # Hydra lists no options for group=[one,two]
    if renamed := RENAMED_CHOICES.get(group, {}).get(option):
        return f"{group}={option}: it is now called '{renamed}'"
    if not group or not known:
        return _first_line(text)
    return f"{group}={option}: there is no such {group}; {did_you_mean(option, known)}"


def _unknown_overrides(verb: str, overrides: Sequence[str]) -> list[str]:
    known_groups = groups()
    choices = [word for word in overrides if _key(word) in (*known_groups, "hydra.searchpath")]
    try:
        cfg = compose_command(verb, choices)
    except HydraException:
        cfg = compose_command(verb, [])
    faults = []
    for word in overrides:
        key = _key(word)
        if word[0] in "+~" or key in known_groups or key.startswith("hydra/"):
            continue
        if _has(cfg, key):
            if word.partition("=")[2].startswith("{") and OmegaConf.select(cfg, key) == {}:
                faults.append(f"{word}: {key} is empty and takes additions only; write '+{word}'")
            continue
        faults.append(f"{word}: {_explain_unknown(cfg, key, known_groups)}")
    return faults + [
        f"{word}: {group} is not among the defaults; write +{word}"
        for word in choices
        if word[0] not in "+~" and (group := _key(word)) in ADDED
    ]


def _unknown_in_sweep(verb: str, key: str) -> str:
    # No override of the command line sets the key, so the parameters of a sweep do.
    return f"{key}: a sweep file sets it, but {_explain_unknown(compose_command(verb, []), key, groups())}"


def _explain_unknown(cfg: DictConfig, key: str, known_groups: Sequence[str]) -> str:
    if key in RENAMED_OPTIONS:
        return f"it is now called '{RENAMED_OPTIONS[key]}'"
    parent, _, leaf = key.rpartition(".")
    while parent and not _has(cfg, parent):
        parent, _, leaf = parent.rpartition(".")
    node: Any = OmegaConf.select(cfg, parent) if parent else cfg
    if not isinstance(node, DictConfig):
        return f"'{parent}' is a value, not a group of keys; write {parent}=…"
    names = [str(name) for name in node if name not in ("_target_", "hydra")]
    if not parent:
        names += known_groups
    place = f"'{parent}'" if parent else "the configuration"
    return f"{place} has no key '{leaf}'; {did_you_mean(leaf, names)}"


def _has(cfg: DictConfig, key: str) -> bool:
    parent, _, leaf = key.rpartition(".")
    node = OmegaConf.select(cfg, parent, throw_on_missing=False) if parent else cfg
    return isinstance(node, DictConfig) and leaf in node.keys()  # noqa: SIM118  `in node` is false for ???


def _key(override: str) -> str:
    return override.lstrip("+~").partition("=")[0].partition("@")[0]


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0].strip()
