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


def require_format(name: str) -> None:
    """Check that a format exists.

    Raises:
        ConfigError: There is no such format.
    """
    if name not in format_names():
        raise ConfigError(
            "no such format", where=f"format={name}", remedy=f"use one of {', '.join(format_names())}"
        )


def load_exporter(name: str) -> type[Exporter]:
    """Import a format and return its exporter.

    Raises:
        ConfigError: There is no such format.
    """
    from heritage.exporters.exporter import Exporter

    require_format(name)
    module = import_module(f"{__name__}.{name}")
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, Exporter) and getattr(value, "name", None) == name:
            return value
    raise TypeError(f"{module.__file__} defines no Exporter with the name '{name}'")
