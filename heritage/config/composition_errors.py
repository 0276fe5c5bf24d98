"""Explain what Hydra, OmegaConf or YAML rejected, one line for each fault, with the nearest valid name."""

from __future__ import annotations

import itertools
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf

from heritage.config.compose import ADDED, compose_command, groups_of, keys_of, options
from heritage.config.config_files import chosen_files, explain_yaml_error, file_faults, search_folders
from heritage.config.faults import did_you_mean, range_hint, right_key
from heritage.config.grammar import quoted
from heritage.config.overrides import takes_list
from heritage.core.files import config_dir
from heritage.core.image_folders import IMAGE_SUFFIXES
from heritage.core.taxonomy import nearest
from heritage.runs.compat import RENAMED_CHOICES, RENAMED_OPTIONS

_UNKNOWN_KEY = re.compile(r"Could not override '(?P<key>[^']+)'")
_UNKNOWN_IN_FILE = re.compile(
    r"(?:In '(?P<file>[^']+)': .*\n)?Key '(?P<key>[^']+)' not in '\w+'(?:\s+full_key: (?P<path>\S+))?"
)
_UNKNOWN_DELETED = re.compile(r"Could not delete from config\. '(?P<key>[^']+)' does not exist")
_VALUE = re.compile(r"Error merging override (?P<override>.+)")
_VALUE_IN_FILE = re.compile(
    r"In '(?P<file>[^']+)': \w+ raised while composing config:\n(?P<what>.+)\n\s+full_key: (?P<key>\S+)"
)
_SWEEP = re.compile(
    r"Ambiguous value for argument '(?P<word>.+?)'\n1\. "
    r"|Sweep parameters '(?P<other>.+)' requires --multirun",
    re.DOTALL,
)
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+(?:[eE][-+]?\d+)?")
_RUN_FOLDER = re.compile(r"\$\{hydra:runtime\.output_dir\}")
_FIRST = {
    "compare": "runs",
    "predict": "ckpt",
    "evaluate": "ckpt",
    "explain": "ckpt",
    "export": "ckpt",
    "serve": "ckpt",
}
"""The option that a word without a key is probably meant for."""
_FOLDER = {
    "train": ("data=class_folders", "data.root={}"),
    "curate": ("raw=class_folders", "raw.root={}"),
}
"""The words that read a folder of class folders."""
_EACH = "to run each of them add -m (from Python: multirun=True)"
_CHOSEN_TWICE = re.compile(r"Multiple values for (?P<group>\S+)\. ")
_FORCED = re.compile(r"force-add of config groups is not supported: '(?P<word>[^']+)'")
_ADDED_TWICE = re.compile(r"Could not append to config\. An item is already at '(?P<key>[^']+)'")
_PARSER = re.compile(r"Lexer\w*Exception\b.*", re.DOTALL)
_TYPE = re.compile(r"could not be converted to (\w+)")
_RANGE = re.compile(r"Value '([^']+)' of type")
_GIVE = {"Integer": "a whole number", "Float": "a number", "Boolean": "true or false"}


def explain_composition_error(fault: BaseException, verb: str, overrides: Sequence[str]) -> list[str]:
    """Return what was rejected, one line for each fault, with the nearest valid names.

    If a key is unknown, all unknown keys of the command line are listed at once; if a configuration file is
    wrong, all faults of the file.

    Args:
        fault: The exception that composing raised.
        verb: The command.
        overrides: The overrides of its command line.
    """
    if isinstance(fault, OverrideParseException):
        return [_unreadable(fault, verb)]
    if lines := file_faults(verb, overrides):
        return lines
    if isinstance(fault, yaml.YAMLError):
        return [explain_yaml_error(fault)]
    if isinstance(fault, UnicodeDecodeError):
        return [f"a configuration file: not UTF-8 ({fault}); save the file as UTF-8"]
    text = str(fault)
    if isinstance(fault, MissingConfigException) and fault.missing_cfg_file:
        return [_missing_file(fault, text, overrides)]
    if "Error resolving interpolation" in text and (lines := _groups_without_option(verb, overrides)):
        return lines
    for pattern, explain in _EXPLANATIONS:
        if found := pattern.search(text):
            return explain(found, fault, verb, overrides)
    cause = f" ({_first_line(str(fault.__cause__))})" if fault.__cause__ else ""
    return [_first_line(text) + cause]


def _groups_without_option(verb: str, overrides: Sequence[str]) -> list[str]:
    """Explain overrides that leave a group without one option, on which other values depend."""
    known = groups_of(verb, compose_command(verb, []))
    lines = []
    for word in overrides:
        key, value = _key(word), word.partition("=")[2]
        if key not in known:
            continue
        if value.startswith("["):
            lines.append(f"{word}: this group takes one option; {_EACH} and leave the brackets out")
        elif word.startswith("~"):
            lines.append(f"{word}: this group needs an option; write {key}=<option>")
        elif "${" in value:
            lines.append(f"{word}: this group takes the name of an option, not an interpolation; write one")
    return lines


def _unreadable(fault: OverrideParseException, verb: str) -> str:
    word = str(fault.override)
    key, equals, value = word.partition("=")
    if not equals and re.fullmatch(r"[^~]+", word):
        return f"cannot read '{word}' (it has no key or no value); {_with_key(word, verb)}"
    remedy = "write key=value"
    if equals and re.fullmatch(r"[\w@./+~-]+", key, re.ASCII):
        remedy = f"write {shlex.quote(f'{key}={quoted(value)}')}"
    reason = _PARSER.sub("a sign that Hydra's grammar does not have here", _first_line(str(fault)))
    return f"cannot read '{word}' ({reason}); {remedy}"


def _with_key(word: str, verb: str) -> str:
    """Return how a word without ``=`` is written: a key without its value, or a value without its key."""
    cfg = compose_command(verb, [])
    if word in groups_of(verb, cfg):
        return f"write {word}=<option>"
    if _has(cfg, word):
        return f"write {word}=<value>"
    if verb in _FOLDER and Path(word).is_dir():
        return f"write {shlex.join(text.format(word) for text in _FOLDER[verb])}"
    if verb in _FIRST:
        key = "input" if verb == "predict" and _is_image(word) else _FIRST[verb]
        return f"write {shlex.quote(f'{key}={word}')}"
    if whole := _value_with_blanks(word):
        return f"write {shlex.quote(whole)}, in quotes, for a value with blanks"
    return "write key=value"


def _value_with_blanks(word: str) -> str | None:
    """Return the override that a word without a key was probably split from; None if there is none before it.

    Example:
        ``heritage curate name=my run`` has the words ``name=my`` and ``run``.
    """
    for place, argument in enumerate(sys.argv[1:-1], start=1):
        if sys.argv[place + 1] == word and re.fullmatch(r"[+\w./@]+=[^\[{(]+", argument):
            parts = itertools.takewhile(
                lambda part: "=" not in part and part[:1] != "-", sys.argv[place + 1 :]
            )
            return " ".join([argument, *parts])
    return None


def _is_image(word: str) -> bool:
    return word.lower().endswith(tuple(IMAGE_SUFFIXES))


def _run_folder(_: re.Match[str], __: BaseException, ___: str, ____: Sequence[str]) -> list[str]:
    return ["--resolve: the run folder is chosen when the command runs; leave --resolve out"]


def _sweep(match: re.Match[str], _: BaseException, verb: str, overrides: Sequence[str]) -> list[str]:
    word = match["word"] or match["other"]
    key, value = word.split("=", 1)
    as_list = f", or write a list, {key}=[{value}]" if takes_list(verb, key, overrides) else ""
    if not as_list and _DECIMAL_COMMA.fullmatch(value):
        as_list = f", or write {key}={value.replace(',', '.')} with a point"
    return [f"{word}: one run takes one value; {_EACH}{as_list}"]


def _unknown_key(match: re.Match[str], _: BaseException, verb: str, overrides: Sequence[str]) -> list[str]:
    if lines := _unknown_overrides(verb, overrides):
        return lines
    placed = [word for word in overrides if "@" in word and word.partition("=")[0] == match["key"]]
    if placed:
        return [f"{word}: nothing is chosen there; write {_key(word)}=<option>" for word in placed]
    return [_unknown_in_sweep(verb, match["key"])]


def _unknown_in_file(match: re.Match[str], _: BaseException, verb: str, __: Sequence[str]) -> list[str]:
    path = match["path"] or match["key"]
    file = f"{match['file']}.yaml" if match["file"] else "a configuration file"
    return [f"{path}: {file} sets it, but {_explain_unknown(verb, compose_command(verb, []), path)}"]


def _unknown_deleted(match: re.Match[str], _: BaseException, verb: str, __: Sequence[str]) -> list[str]:
    key, cfg = match["key"], compose_command(verb, [])
    if _has(cfg, key):  # which Hydra takes for absent
        return [f"~{key}: it is null already; leave ~{key} out"]
    return [f"~{key}: {_explain_unknown(verb, cfg, key)}"]


def _wrong_value(match: re.Match[str], fault: BaseException, _: str, __: Sequence[str]) -> list[str]:
    override, what = match["override"].strip(), _first_line(str(fault.__cause__ or fault))
    if (numbers := _RANGE.search(what)) and (hint := range_hint(_key(override), numbers[1])):
        return [f"{override}: one run takes one value; {hint}"]
    return [f"{override}: {_with_remedy(what)}"]


def _wrong_value_in_file(
    match: re.Match[str], _: BaseException, __: str, overrides: Sequence[str]
) -> list[str]:
    name, key = f"{match['file']}.yaml", match["key"]
    place = next((file.place(key) for file in chosen_files(overrides) if file.name == name), name)
    return [f"{place}: {key}: {_with_remedy(match['what'])}"]


def _chosen_twice(match: re.Match[str], _: BaseException, __: str, overrides: Sequence[str]) -> list[str]:
    group = match["group"]
    words = [word for word in overrides if _key(word) == group]
    word = words[-1] if words else group
    return [f"{word}: {group} is chosen twice; write {word.lstrip('+')} once and without a plus"]


def _forced(match: re.Match[str], _: BaseException, __: str, ___: Sequence[str]) -> list[str]:
    word = match["word"]
    return [f"{word}: an option is chosen without a plus; write {word.lstrip('+')}"]


def _added_twice(match: re.Match[str], _: BaseException, __: str, overrides: Sequence[str]) -> list[str]:
    key = match["key"]
    words = [word for word in overrides if word.lstrip("+").partition("=")[0] == key]
    if len(words) > 1:
        return [f"{' '.join(words)}: {key} is given twice; keep one of them, without a plus"]
    word = words[0] if words else f"+{key}=…"
    return [f"{word}: {key} exists already; write {word.lstrip('+')}"]


_Explain = Callable[[re.Match[str], BaseException, str, Sequence[str]], list[str]]
_EXPLANATIONS: tuple[tuple[re.Pattern[str], _Explain], ...] = (
    (_SWEEP, _sweep),
    (_RUN_FOLDER, _run_folder),
    (_CHOSEN_TWICE, _chosen_twice),
    (_FORCED, _forced),
    (_ADDED_TWICE, _added_twice),
    (_UNKNOWN_KEY, _unknown_key),
    (_UNKNOWN_IN_FILE, _unknown_in_file),
    (_UNKNOWN_DELETED, _unknown_deleted),
    (_VALUE, _wrong_value),
    (_VALUE_IN_FILE, _wrong_value_in_file),
)


def _with_remedy(what: str) -> str:
    if what.endswith("is not Optional"):
        return "cannot be null; give a value"
    match = _TYPE.search(what)
    return f"{what}; give {_GIVE.get(match[1], 'a value of that type')}" if match else what


def _missing_file(fault: MissingConfigException, text: str, overrides: Sequence[str]) -> str:
    name = str(fault.missing_cfg_file)
    group = next((one for one in ADDED if name.startswith(f"{one}/")), name.rpartition("/")[0])
    option = name.removeprefix(f"{group}/")
    if renamed := RENAMED_CHOICES.get(group, {}).get(option):
        return f"{group}={option}: it is now called '{renamed}'"
    folders = search_folders(overrides)
    known = {one for one in fault.options or () if not one.startswith("_")} if group not in ADDED else set()
    # Hydra lists no options for group=[one,two], and none of the subfolders.
    known |= set(options(group, nested=group in ADDED, folders=folders))
    if not group or not known:
        return _first_line(text)
    if not any(_key(word) == group for word in overrides):
        for file in chosen_files(overrides):
            if any(str(value) in (option, f"/{name}", name) for _, value in file.defaults):
                return f"{file.place('defaults')}: there is no {name}; {did_you_mean(option, known)}"
    first, *others = re.split(r"[\s;]+", option)
    if others and first in known and all("=" in other for other in others):
        words = " ".join([f"{group}={first}", *others])
        return f"{group}={option}: there is no such {group}; write {len(others) + 1} words: {words}"
    return f"{group}={option}: there is no such {group}; {did_you_mean(option, known)}"


def _unknown_overrides(verb: str, overrides: Sequence[str]) -> list[str]:
    cfg = compose_command(verb, [])
    choices = [word for word in overrides if _key(word) in (*groups_of(verb, cfg), "hydra.searchpath")]
    try:
        cfg = compose_command(verb, choices)
    except HydraException:
        choices = []
    known_groups = groups_of(verb, cfg)
    faults = []
    for word in overrides:
        key = _key(word)
        if word[0] in "+~" or key in known_groups or key.startswith("hydra/"):
            continue
        if _has(cfg, key):
            if word.partition("=")[2].startswith("{") and OmegaConf.select(cfg, key) == {}:
                faults.append(f"{word}: {key} is empty and takes additions only; write '+{word}'")
            continue
        faults.append(f"{word}: {_explain_unknown(verb, cfg, key)}")
    return faults + [
        f"{word}: {group} is not among the defaults; write +{word}"
        for word in overrides
        if word[0] not in "+~" and (group := _key(word)) in ADDED and group in known_groups
    ]


def _unknown_in_sweep(verb: str, key: str) -> str:
    # No override of the command line sets the key, so the parameters of a sweep do.
    return f"{key}: a sweep file sets it, but {_explain_unknown(verb, compose_command(verb, []), key)}"


def _explain_unknown(verb: str, cfg: DictConfig, key: str) -> str:
    if key in RENAMED_OPTIONS:
        return f"it is now called '{RENAMED_OPTIONS[key]}'"
    parent, _, leaf = key.rpartition(".")
    while parent and not _has(cfg, parent):
        parent, _, leaf = parent.rpartition(".")
    node: Any = OmegaConf.select(cfg, parent) if parent else cfg
    if not isinstance(node, DictConfig):
        return f"'{parent}' is a value, not a group of keys; write {parent}=…"
    names = [str(name) for name in node if name not in ("_target_", "hydra")]
    known_groups = groups_of(verb, cfg)
    if not parent:
        names += known_groups
    place = f"'{parent}'" if parent else "the configuration"
    elsewhere = [*known_groups, *keys_of(cfg)] if not parent else []
    hint = did_you_mean(leaf, names) if parent else right_key(verb, leaf, names, elsewhere)
    if parent and (choice := _option_like(parent, leaf, names)):
        hint = f"add {parent}={choice}, and write {parent}.{choice} instead of {parent}.{leaf}"
        hint = f"add {parent}={choice}" if choice == leaf else hint
    return f"{place} has no key '{leaf}'; {hint}"


def _option_like(group: str, key: str, names: Sequence[str]) -> str | None:
    """Return the option of a group that adds a key, if the key is like no present one."""
    near = nearest(key, options(group)) if nearest(key, names) is None else None
    if near is None or not (config_dir() / group / f"{near}.yaml").is_file():
        return None
    content: Any = OmegaConf.load(config_dir() / group / f"{near}.yaml")
    return near if near in content else None


def _has(cfg: DictConfig, key: str) -> bool:
    parent, _, leaf = key.rpartition(".")
    node = OmegaConf.select(cfg, parent, throw_on_missing=False) if parent else cfg
    return isinstance(node, DictConfig) and leaf in node.keys()  # noqa: SIM118  `in node` is false for ???


def _key(override: str) -> str:
    return override.lstrip("+~").partition("=")[0].partition("@")[0]


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0].strip()
