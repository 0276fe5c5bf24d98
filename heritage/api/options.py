"""List models, and the options of every configuration group."""

from __future__ import annotations

from fnmatch import fnmatch
from typing import overload

from heritage.config.compose import groups, options
from heritage.config.faults import did_you_mean
from heritage.errors import ArgumentError, ConfigError


def list_models(pattern: str = "*") -> list[str]:
    """Return the models that ``model=`` takes.

    Any other model of timm is ``model=timm model.name=…``; `timm.list_models` names them.

    Args:
        pattern: Shell-style wildcards, as in `timm.list_models`.

    Raises:
        ArgumentError: The pattern is not a string.

    Example:
        >>> heritage.list_models("resnet*")
        ['resnet10t', 'resnet18', 'resnet50']
    """
    _require_text("pattern", pattern)
    return [name for name in options("model") if fnmatch(name, pattern)]


@overload
def list_options() -> dict[str, list[str]]: ...
@overload
def list_options(group: str) -> list[str]: ...
def list_options(group: str | None = None) -> dict[str, list[str]] | list[str]:
    """Return the options of a configuration group, or of each of them.

    Args:
        group: The group, such as ``balance`` or ``data/split``; None returns all groups.

    Raises:
        ConfigError: There is no such group.
        ArgumentError: The group is not a string.

    Example:
        >>> heritage.list_options("scheduler")
        ['constant', 'cosine', 'one_cycle', 'plateau']
        >>> "oversample" in heritage.list_options()["balance"]
        True
    """
    known = groups()
    if group is None:
        return {name: options(name) for name in known if options(name)}
    _require_text("group", group)
    if group not in known:
        raise ConfigError("no such group", where=group, remedy=did_you_mean(group, known))
    return options(group)


def _require_text(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise ArgumentError(
            f"it is a string, not a {type(value).__name__}", where=name, remedy="see heritage.list_options()"
        )
