"""The export formats: each module in this package is one, named after its ``format=…``.

A new format is one new module. It starts with a docstring, whose first line is shown in ``heritage export
--help``, and defines a subclass of `heritage.exporters.exporter.Exporter` with the same `name`. Packages that
`heritage` does not depend on are imported in its methods, and installed by an extra of ``pyproject.toml``.
"""

from __future__ import annotations

import ast
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from heritage.errors import ConfigError

if TYPE_CHECKING:
    from heritage.exporters.exporter import Exporter


def format_names() -> list[str]:
    """Return the names of all formats, without importing them."""
    return sorted(module.name for module in iter_modules(__path__))


def format_summaries() -> dict[str, str]:
    """Return the first line of each format's documentation, without importing the formats."""
    summaries = {}
    for name in format_names():
        spec = find_spec(f"{__name__}.{name}")
        source = Path(str(spec.origin)).read_text(encoding="utf-8") if spec else ""
        summaries[name] = (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]
    return summaries


def known_format(name: str) -> str:
    """Return a format's name if it exists.

    Raises:
        ValueError: There is no such format.
    """
    *others, last = map(repr, format_names())
    if name not in format_names():
        raise ValueError(f"should be {', '.join(others)} or {last}")
    return name


def load_exporter(name: str) -> type[Exporter]:
    """Import a format and return its exporter.

    Raises:
        ConfigError: There is no such format.
    """
    try:
        known_format(name)
    except ValueError as error:
        raise ConfigError(str(error), where=f"format={name}") from error
    module = import_module(f"{__name__}.{name}")
    for value in vars(module).values():
        if isinstance(value, type) and getattr(value, "name", None) == name:
            return value
    raise TypeError(f"{module.__file__} defines no Exporter with the name '{name}'")
