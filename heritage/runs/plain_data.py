"""Read what a file holds as plain data, and nothing more: no object, no interpolation, no alias.

Checkpoints and run folders may come from anybody. Their configurations are read here; no string in them is
resolved (``${oc.env:…}`` stays text), and their size and depth are bounded before anything walks through
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf._utils import get_yaml_loader
from yaml import YAMLError, load  # type: ignore[import-untyped]

from heritage.core.bounded_read import TooLargeError, read_bounded

MAX_VALUES = 100_000
"""Values in a configuration, nested ones included; those of this package have some hundred."""
MAX_DEPTH = 32
_MAX_BYTES = 4_000_000


class PlainDataError(ValueError):
    """Something else than plain data, or far too much of it."""


def plain_data(value: Any) -> Any:
    """Return a copy of mappings, lists, strings, numbers, booleans and None; tuples become lists.

    Raises:
        PlainDataError: There is another type in it, a key that is not a string, or too much of it. Shared
            parts count each time: a file of some bytes could hold 10⁹ values otherwise.
    """
    return _Copy().of(value, 0)


class _Copy:
    def __init__(self) -> None:
        self._values = 0

    def of(self, value: Any, depth: int) -> Any:
        self._values += 1
        if self._values > MAX_VALUES or depth > MAX_DEPTH:
            raise PlainDataError("more values or levels than a configuration has")
        if value is None or type(value) in (bool, int, float, str):
            return value
        if isinstance(value, Mapping):
            if not all(type(key) is str for key in value):
                raise PlainDataError("a key that is not text")
            return {key: self.of(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.of(item, depth + 1) for item in value]
        raise PlainDataError(f"a value of type {type(value).__name__}, which is not plain data")


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file as plain data, by the rules that OmegaConf writes it by.

    Raises:
        PlainDataError: It is no plain data, too large, or has anchors and aliases.
        YAMLError: It is not YAML.
        OSError: It cannot be read, or is not a regular file.
    """
    try:
        content = read_bounded(path, _MAX_BYTES)
    except TooLargeError as error:
        raise PlainDataError("larger than any configuration") from error
    try:
        return plain_data(load(content.decode("utf-8"), _loader()))  # noqa: S506  a subclass of SafeLoader
    except RecursionError as error:
        raise PlainDataError("more levels than a configuration has") from error


def _loader() -> type[Any]:
    base: Any = get_yaml_loader()  # floats and dates as OmegaConf reads them

    class PlainLoader(base):  # type: ignore[misc]
        def fetch_alias(self) -> None:
            raise YAMLError("an alias")

        def fetch_anchor(self) -> None:
            raise YAMLError("an anchor")

    return PlainLoader
