"""Python values as Hydra overrides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from os import PathLike, fspath
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from heritage.cli import COMMANDS
from heritage.config.faults import did_you_mean
from heritage.config.grammar import literal, mapping
from heritage.config.overrides import prepared_overrides, renamed_keys
from heritage.config.register import register
from heritage.errors import ArgumentError, CommandError


def require_command(verb: object) -> None:
    """Raise unless there is a command of this name.

    Raises:
        CommandError: There is none.
        ArgumentError: It is not a string.
    """
    if not isinstance(verb, str):
        raise ArgumentError(
            f"a command is named by a string, not by {_kind(verb)}",
            where="verb",
            remedy=f"use one of {', '.join(COMMANDS)}",
        )
    if verb not in COMMANDS:
        raise CommandError("no such command", where=verb, remedy=did_you_mean(verb, COMMANDS))


def require_flag(name: str, value: object) -> None:
    """Raise unless a value is true or false: any text would count as true.

    Raises:
        ArgumentError: It is neither.
    """
    if not isinstance(value, bool):
        raise ArgumentError(
            f"it is True or False, not {_kind(value)}", where=name, remedy=f"give {name}=True or leave it out"
        )


def given_overrides(overrides: Iterable[object]) -> list[str]:
    """Return overrides as a list.

    Args:
        overrides: Strings, and lists of strings.

    Raises:
        ArgumentError: One is not a string.
        CommandError: One is a flag.
    """
    words: list[str] = []
    for given in overrides:
        if not isinstance(given, str | Iterable) or isinstance(given, Mapping | bytes | bytearray):
            raise _no_override(given)
        words += [given] if isinstance(given, str) else list(given)
    for word in words:
        if not isinstance(word, str):
            raise _no_override(word)
        if word.startswith("-"):
            raise CommandError("a flag, not an override", where=word, remedy=_instead(word))
    return words


def command_overrides(
    verb: str, overrides: Iterable[str | Iterable[str]], options: Mapping[str, Any], *, multirun: bool = False
) -> list[str]:
    """Return overrides and keyword arguments as overrides that Hydra reads as they are meant.

    Args:
        verb: The command.
        overrides: Overrides as on the command line; paths and names need no quotes.
        options: Values by key, see `option_overrides`.
        multirun: Whether commas in ``overrides`` separate the values of a sweep.
    """
    register()
    given = renamed_keys(verb, given_overrides(overrides))
    named = renamed_keys(verb, option_overrides(options))
    return [
        *prepared_overrides(verb, given, others=named, multirun=multirun),
        *prepared_overrides(verb, named, others=given, exact=True),
    ]


def option_overrides(options: Mapping[str, Any]) -> list[str]:
    """Return keyword arguments as Hydra overrides.

    Args:
        options: Values by key; two underscores stand for a dot, as in scikit-learn's ``set_params``
            (``data__root`` is ``data.root``).

    Raises:
        ArgumentError: A value has a type that no configuration holds.

    Example:
        >>> option_overrides({"model": "vit", "data__root": "my photographs", "seed": np.int64(3)})
        ['model=vit', "data.root='my photographs'", 'seed=3']
    """
    named = {key.replace("__", "."): value for key, value in options.items()}
    return [f"{key}={_literal(key, value)}" for key, value in named.items()]


def _no_override(value: object) -> ArgumentError:
    return ArgumentError(
        f"an override is a string, not {_kind(value)}",
        where="overrides",
        remedy="give strings such as 'model=vit', or options by name: model='vit'",
    )


def _instead(flag: str) -> str:
    if flag in ("-m", "--multirun"):
        return "give heritage.run multirun=True"
    if flag.startswith(("--config-dir", "-cd")):
        return 'give the override "hydra.searchpath=[file:///path/to/folder]"'
    return "give overrides, key=value"


def _literal(key: str, value: Any) -> str:
    """Return a value in Hydra's override grammar."""
    value = _plain(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        return float.__repr__(value)  # NumPy's float64 is a float with another representation
    if isinstance(value, Mapping):
        return mapping([(str(name), _literal(f"{key}.{name}", item)) for name, item in value.items()])
    if isinstance(value, set | frozenset):
        value = sorted(value, key=lambda item: (type(item).__name__, item))
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | bytearray | memoryview):
        return "[" + ",".join(_literal(f"{key}[{k}]", item) for k, item in enumerate(value)) + "]"
    if not isinstance(value, str):
        raise ArgumentError(
            f"an option cannot be {_kind(value)}",
            where=key,
            remedy="give a number, a string, a path, a list, a dictionary or a boolean",
        )
    return literal(value)


def _plain(value: Any) -> Any:
    """Return paths, members of an Enum, configurations, arrays and tensors as plain Python values."""
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, DictConfig | ListConfig):
        return OmegaConf.to_container(value)
    if isinstance(value, PathLike):
        return fspath(value)
    if not isinstance(value, str | bytes | Sequence) and callable(to_list := getattr(value, "tolist", None)):
        return to_list()  # scalars of NumPy and torch become numbers
    return value


def _kind(value: object) -> str:
    return f"a value of type {type(value).__name__}"
