r"""Take the paths and names of a command line as they are given, before Hydra parses them.

Hydra's grammar knows neither accents nor ``=``, brackets or ``~`` in a value, and reads a folder named 1_0
as the number 10. The type of each option decides (`heritage.core.option_types`): the value of a path or a
name is quoted for Hydra unless Hydra reads it as exactly that text. What keeps its meaning:

* quotes around the whole value, as before: ``'ckpt="a b"'``;
* ``null``, ``true``, numbers and ``[lists]``, if the option takes them; items of lists follow the same rule;
* ``${…}``, an interpolation; ``\${`` is the text ``${``;
* in a multirun, commas between values; a name with a comma is quoted there.

``~`` at the beginning of a path is the home directory.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from hydra.core.override_parser.types import ChoiceSweep, Glob, QuotedString, Sweep
from hydra.errors import HydraException
from omegaconf import MISSING, DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from heritage.config.compose import COMPOSITION_ERRORS, compose_command, groups
from heritage.config.faults import FaultyConfigError
from heritage.config.grammar import (
    UNREADABLE,
    escaped,
    is_bare,
    is_interpolation,
    is_key,
    literal,
    mapping,
    mapping_items,
    parsed_value,
    quoted,
    split_values,
)
from heritage.config.schema import HYDRA_OPTIONS, SCHEMAS, PathsConfig
from heritage.config.signatures import signature_of
from heritage.core.option_types import UNKNOWN, OptionType, option_type

_OVERRIDE = re.compile(r"(\+{0,2})([^~+=][^=]*)=(.*)", re.DOTALL)
_FOLDERS = ("hydra.run.dir", "hydra.sweep.dir", "paths.run", "paths.outputs", "paths.data")
_GROUP = OptionType(text=True, items=OptionType(text=True))


def renamed_keys(verb: str, words: Sequence[str]) -> list[str]:
    """Return overrides in which a command's short names of keys are the keys.

    Example:
        >>> from heritage.config.overrides import renamed_keys
        >>> renamed_keys("publish", ["data=vases", "plan=true"])
        ['data.root=vases', 'plan=true']
    """
    names = _SHORT_NAMES.get(verb, {})
    pairs = [word.partition("=") for word in words]
    return [f"{names.get(key, key) if mark else key}{mark}{value}" for key, mark, value in pairs]


_SHORT_NAMES = {"publish": {"data": "data.root"}}  # `data` is a group of other commands


def prepared_overrides(
    verb: str,
    words: Sequence[str],
    *,
    others: Sequence[str] = (),
    multirun: bool = False,
    exact: bool = False,
) -> list[str]:
    """Return overrides that Hydra reads as they are meant.

    A key that a mapping does not have yet (``raw.columns.class=Kind``) needs no plus.

    Args:
        verb: The command.
        words: Its overrides.
        others: Further overrides, which only tell the chosen groups.
        multirun: Whether commas separate the values of a sweep.
        exact: Whether the values are in Hydra's grammar already; only ``~`` and the plus are treated.

    Raises:
        FaultyConfigError: An override has no key, an empty path, or removes a key that is required.

    Example:
        >>> from heritage.config.overrides import prepared_overrides
        >>> prepared_overrides("evaluate", ["ckpt=sweeps/seed=0", "report.seed=3"])
        ["ckpt='sweeps/seed=0'", 'report.seed=3']
    """
    options = _Options(verb, [*others, *words])
    done: list[str] = []
    for word in _with_mappings(words, options, multirun=multirun):
        match = _OVERRIDE.fullmatch(word)
        if match is None:
            options.require_removable(word, words)
            if word.lstrip("+~").startswith("="):
                raise FaultyConfigError([f"cannot read '{word}' (it has no key); write key=value"])
            done.append(word)
            continue
        plus, key, value = match.groups()
        kind = UNKNOWN if is_bare(value) else options.type_of(key)
        _require_folder_name(word, value, kind)
        if multirun and not exact:
            value = _swept(value, kind)
        elif kind is not _GROUP or not isinstance(parsed_value(value), ChoiceSweep):  # which Hydra refuses
            value = _element(value, kind, exact)
        done.append(f"{plus or options.plus(key)}{key}={value}")
    return done


def _with_mappings(words: Sequence[str], options: _Options, *, multirun: bool) -> list[str]:
    """Return overrides in which mappings have only keys that Hydra's grammar knows.

    ``weights.Ägypten=2`` becomes one override of the whole mapping, with all other overrides of it; and so
    does a key of a mapping that has no value yet. The values of a sweep become mappings separated by commas.
    """
    matches = [_OVERRIDE.fullmatch(word) for word in words]
    places = [("", "") if match is None else options.mapping_of(match[2]) for match in matches]
    known_items = {parent: options.items(parent) for parent, _ in places if parent}
    items = {
        parent: list(known or ())
        for parent, known in known_items.items()
        if known is None or not all(is_key(leaf) for other, leaf in places if other == parent)
    }
    done: list[str] = []
    for word, match, (parent, leaf) in zip(words, matches, places, strict=True):
        whole = None if match is None or match[2] not in items else mapping_items(match[3])
        if match is None or (parent not in items and whole is None):
            done.append(word)
            continue
        parent = parent or match[2]
        if parent not in done:
            done.append(parent)
        items[parent] += [(leaf, match[3])] if whole is None else whole
    return [f"{word}={_mappings(dict(items[word]), multirun)}" if word in items else word for word in done]


def _mappings(items: Mapping[str, str], multirun: bool) -> str:
    """Return a mapping in Hydra's grammar, or in a multirun one for each combination of its values."""
    values = itertools.product(*(split_values(value) if multirun else [value] for value in items.values()))
    return ",".join(mapping(list(zip(items, chosen, strict=True))) for chosen in values)


def takes_list(verb: str, key: str, overrides: Sequence[str]) -> bool:
    """Return whether an option takes a list; not a group, of which few do."""
    kind = _Options(verb, overrides).type_of(key)
    return kind is not _GROUP and kind.items is not None


def expand_home(cfg: DictConfig, verb: str) -> None:
    """Replace ``~`` at the beginning of every path of a configuration, wherever it was set.

    Args:
        cfg: A composed configuration, changed in place.
        verb: The command.
    """
    plain = OmegaConf.to_container(cfg, resolve=False)
    for key, text in _texts(plain, ""):
        if not text.startswith("~"):
            continue
        bare = key.partition("[")[0]
        kind = _type_in(cfg, verb, bare)
        if kind.path or (kind.items is not None and kind.items.path):
            with read_write(cfg), open_dict(cfg):
                OmegaConf.update(cfg, key, expanded(text))


def expanded(path: str) -> str:
    """Return a path with the home directory in place of ``~``."""
    return os.path.expanduser(path)  # noqa: PTH111  a Path would lose `./` and a trailing slash


class _Options:
    """The types of a command's options, with the groups that its overrides choose."""

    def __init__(self, verb: str, words: Sequence[str]) -> None:
        self._verb, self._words = verb, words
        self._groups = groups()
        self._composed: list[DictConfig | None] = []

    def type_of(self, key: str) -> OptionType:
        if key == "hydra" or key.startswith("hydra/"):
            return _GROUP
        if key.partition(".")[0] == "hydra":
            return option_type(HYDRA_OPTIONS[key]) if key in HYDRA_OPTIONS else UNKNOWN
        if key.partition("@")[0] in self._groups:
            return _GROUP
        if "." not in key or key.startswith("paths."):
            return _type_in(None, self._verb, key)
        return UNKNOWN if self._cfg is None else _type_in(self._cfg, self._verb, key)

    def plus(self, key: str) -> str:
        """Return the plus that Hydra needs for a new key of a mapping."""
        parent, _, leaf = key.rpartition(".")
        if "." not in parent or parent.startswith("hydra.") or self._cfg is None:
            return ""
        node = _select(self._cfg, parent)
        if not isinstance(node, DictConfig) or leaf in node.keys():  # noqa: SIM118  ??? counts as a key
            return ""
        return "" if "_target_" in node or self.type_of(parent).values is None else "+"

    def mapping_of(self, key: str) -> tuple[str, str]:
        """Return the mapping that a key is in and its name there; empty for keys of anything else."""
        for dot in re.finditer(r"\.", key):
            parent, leaf = key[: dot.start()], key[dot.end() :]
            if not is_key(parent.rpartition(".")[2]):
                break
            if "." in parent and not parent.startswith("hydra.") and self._cfg is not None and leaf:
                values = self.type_of(parent).values
                if values is not None and values.values is None and values.keys is None:
                    return parent, leaf
        return "", ""

    def items(self, key: str) -> list[tuple[str, str]] | None:
        """Return a mapping's keys, and its values in Hydra's grammar; None if it has no value (``???``)."""
        node = None if self._cfg is None else _select(self._cfg, key)
        if not isinstance(node, DictConfig):
            return None
        plain: Any = OmegaConf.to_container(node, resolve=False)
        return [(str(name), _plain_literal(value)) for name, value in plain.items()]

    def require_removable(self, word: str, words: Sequence[str]) -> None:
        """Raise an error if ``~key`` removes a key that the command or a class requires."""
        key = word.lstrip("~").partition("=")[0].partition("@")[0]
        if not word.startswith("~") or any(other.lstrip("+").startswith(f"{key}=") for other in words):
            return
        parent, _, leaf = key.rpartition(".")
        owner: str | None = None
        if not parent and (key == "paths" or key not in self._groups):
            fields = {field.name: field for field in dataclasses.fields(SCHEMAS[self._verb])}
            owner = self._verb if key in fields and fields[key].default == MISSING else None
        elif parent == "paths":
            owner = self._verb if leaf in {field.name for field in dataclasses.fields(PathsConfig)} else None
        elif parent and self._cfg is not None:
            node = _select(self._cfg, parent)
            target = _target(node)
            if target is not None and isinstance(node, DictConfig) and leaf in node.keys():  # noqa: SIM118  ???
                owner = target if _is_required(target, leaf) else None
        if owner is not None:
            raise FaultyConfigError([f"{word}: {owner} requires it; leave {word} out, or give {key}=…"])

    @property
    def _cfg(self) -> DictConfig | None:
        if not self._composed:
            self._composed.append(self._compose())
        return self._composed[0]

    def _compose(self) -> DictConfig | None:
        chosen, own = [], []
        for word in self._words:
            match = _OVERRIDE.fullmatch(word)
            if match is None:
                continue
            plus, key, value = match.groups()
            if key == "hydra.searchpath":
                own.append(f"{key}={_element(value, self.type_of(key), False)}")
            elif key.partition("@")[0] in self._groups:
                # Of the choices of a sweep, the first one stands for all.
                chosen.append(f"{plus}{key}={_element(split_values(value)[0], _GROUP, False)}")
        chosen += own
        for words in (chosen, own, []):
            # Files of the user may change from call to call. Hydra itself warns of folders that do not exist.
            with warnings.catch_warnings(action="ignore"):
                try:
                    return compose_command(self._verb, words) if own else _composed(self._verb, tuple(words))
                except COMPOSITION_ERRORS:
                    continue
        return None


@cache
def _composed(verb: str, words: tuple[str, ...]) -> DictConfig:
    return compose_command(verb, words)


def _type_in(cfg: DictConfig | None, verb: str, key: str) -> OptionType:
    """Return the type of an option.

    Args:
        cfg: The composed configuration, whose ``_target_`` nodes know the types of their keys; None for keys
            of the top level.
        verb: The command, whose schema knows the types of the top level.
        key: The option.
    """
    kind, node = option_type(SCHEMAS[verb]), cfg
    for part in key.split("."):
        target = _target(node)
        node = _select(node, part) if isinstance(node, DictConfig) else None
        if _target(node) is not None:
            kind = UNKNOWN  # its own class knows the types of its keys
        elif target is not None:
            kind = _argument(target, part)
        elif kind.keys is not None:
            kind = option_type(kind.keys[part]) if part in kind.keys else UNKNOWN
        else:
            kind = kind.values or UNKNOWN
    return kind


def _target(node: Any) -> str | None:
    target = _select(node, "_target_") if isinstance(node, DictConfig) else None
    return target if isinstance(target, str) else None


def _argument(target: str, name: str) -> OptionType:
    try:
        return option_type(signature_of(target, {name})[1].get(name))
    except (HydraException, ImportError, ValueError):
        return UNKNOWN


def _is_required(target: str, name: str) -> bool:
    try:
        return signature_of(target, {name})[0].required.get(name, False)
    except (HydraException, ImportError, ValueError):
        return False


def _require_folder_name(word: str, value: str, kind: OptionType) -> None:
    """Raise an error for a path that is empty, and for an output folder that is null."""
    key = word.lstrip("+").partition("=")[0]
    parsed = parsed_value(value)
    if kind.path and (not value.strip() or (isinstance(parsed, QuotedString) and not parsed.text)):
        raise FaultyConfigError([f"{word}: an empty path; give a path, or leave {key} out"])
    if key in _FOLDERS and value == "null":
        raise FaultyConfigError(
            [f"{word}: names no folder; leave {key} out, or write {key}=./null for a folder of this name"]
        )


def _select(node: DictConfig, key: str) -> Any:
    try:
        return OmegaConf.select(node, key, throw_on_missing=False)
    except OmegaConfBaseException:  # an interpolation that cannot be resolved yet
        return None


def _plain_literal(value: Any) -> str:
    if isinstance(value, str):
        return literal(value)
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _swept(value: str, kind: OptionType) -> str:
    parsed = parsed_value(value)
    if isinstance(parsed, Sweep | Glob) and not (isinstance(parsed, ChoiceSweep) and parsed.simple_form):
        return value  # choice(…), range(…), glob(…)
    pieces = split_values(value)
    return ",".join(_element(piece, kind, False) for piece in pieces)


def _element(value: str, kind: OptionType, exact: bool) -> str:
    parsed = parsed_value(value)
    if isinstance(parsed, QuotedString):
        return quoted(expanded(parsed.text)) if kind.path and parsed.text.startswith("~") else value
    if exact:
        return value
    if kind.items is not None and value[:1] == "[" and value[-1:] == "]":
        pieces = split_values(value[1:-1]) if value[1:-1].strip() else []
        done = [_element(piece.strip(), kind.items, exact) for piece in pieces]
        return value if done == [piece.strip() for piece in pieces] else f"[{','.join(done)}]"
    if isinstance(parsed, dict) and (kind.values is not None or not kind.text):
        return value
    if parsed is UNREADABLE and kind.values is not None and (pairs := mapping_items(value)):
        return mapping([(key, _element(item, kind.values, exact)) for key, item in pairs])
    if type(parsed) in kind.plain or (not kind.text and parsed is not UNREADABLE):
        return value
    text = expanded(value) if kind.path else value
    if parsed == text and "\\" not in text:  # which escapes a comma that follows
        return value
    if parsed is not UNREADABLE and "${" in value and text == value:
        return value
    return quoted(text if is_interpolation(text) else escaped(text))


def _texts(node: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, Mapping):
        for name, value in node.items():
            if key or name != "hydra":
                yield from _texts(value, f"{key}.{name}" if key else str(name))
    elif isinstance(node, list):
        for position, value in enumerate(node):
            yield from _texts(value, f"{key}[{position}]")
    elif isinstance(node, str):
        yield key, node
