"""Which values an option takes, read from its annotation.

The command line needs to know before it parses a value whether the option is a path or a name, which is taken
as it is given (`heritage.config.overrides`). `FilePath` marks paths; any other ``str`` is a name.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Union

from heritage.core.taxonomy import suggestion
from heritage.errors import ConfigError

FilePath = Annotated[str, "path"]
"""A file or folder: on the command line the text as it is given, with ``~`` for the home directory."""
Choice = Annotated[str, "choice"]
"""One of a fixed set of words, where the schema cannot list them."""
FigureWidth = Literal["single", "double"]
"""Width of figures: one or both columns of a journal's page."""
Mistakes = Literal["none", "copy", "link"]
"""What `heritage evaluate` does with the files of misclassified images."""


def choice(key: str, value: str, hint: Any) -> Any:
    """Return a value of an option that takes one of the words of a ``Literal``.

    Args:
        key: The option, for the message.
        value: Its value.
        hint: The ``Literal``.

    Raises:
        ConfigError: It is none of them.
    """
    words = typing.get_args(hint)
    if value in words:
        return value
    raise ConfigError("no such choice", where=f"{key}={value}", remedy=suggestion(str(value), words))


@dataclass(frozen=True)
class OptionType:
    """The values that an option takes.

    Attributes:
        text: Whether it takes any text: a path or a name.
        path: Whether the text is a path.
        plain: The other types it takes: bool, int, float, None.
        items: The type of its items, if it takes a list.
        values: The type of the values of its keys, if it takes any keys.
        keys: The annotations of its keys, if they are fixed.
    """

    text: bool = False
    path: bool = False
    plain: frozenset[type] = frozenset()
    items: OptionType | None = None
    values: OptionType | None = None
    keys: Mapping[str, Any] | None = None


UNKNOWN = OptionType()
"""The type of an option without an annotation."""


def option_type(hint: Any) -> OptionType:
    """Return the values that an annotation admits; what it does not name is left out.

    Example:
        >>> option_type(FilePath | list[FilePath]).items.path
        True
        >>> option_type(Choice).text
        False
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return _annotated(*arguments)
    if origin in (Union, types.UnionType):
        return _union([option_type(part) for part in arguments])
    if origin is Literal:
        return OptionType(plain=frozenset(map(type, arguments)) & _PLAIN)
    if hint is str:
        return OptionType(text=True)
    if hint in _PLAIN:
        return OptionType(plain=frozenset({hint}))
    kind = origin or hint
    return _container(kind, arguments) if isinstance(kind, type) else UNKNOWN


def _container(kind: type, arguments: tuple[Any, ...]) -> OptionType:
    if issubclass(kind, Path):
        return OptionType(text=True, path=True)
    if issubclass(kind, Mapping):
        return OptionType(values=option_type(arguments[-1]) if arguments else UNKNOWN)
    if issubclass(kind, Sequence):
        return OptionType(items=option_type(arguments[0]) if arguments else UNKNOWN)
    if hasattr(kind, "__dataclass_fields__"):
        return OptionType(keys=typing.get_type_hints(kind, include_extras=True))
    return UNKNOWN


_PLAIN: frozenset[type] = frozenset({bool, int, float, type(None)})


def _annotated(hint: Any, *metadata: Any) -> OptionType:
    if hint is Any:
        return option_type(metadata[0])
    base = option_type(hint)
    if hint is str and metadata[0] == "path":
        return replace(base, path=True)
    return UNKNOWN if hint is str and metadata[0] == "choice" else base


def _union(parts: Sequence[OptionType]) -> OptionType:
    def first(name: str) -> Any:
        return next((value for part in parts if (value := getattr(part, name)) is not None), None)

    return OptionType(
        text=any(part.text for part in parts),
        path=any(part.path for part in parts),
        plain=frozenset().union(*(part.plain for part in parts)),
        items=first("items"),
        values=first("values"),
        keys=first("keys"),
    )
