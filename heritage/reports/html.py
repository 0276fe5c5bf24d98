"""Self-contained HTML pages from the templates in ``pages/``."""

from __future__ import annotations

import base64
import math
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
from markupsafe import Markup

from heritage.core.escaping import CSV_CELL_JS, visible, web_link
from heritage.core.files import write_text
from heritage.core.numbers import counted, percent

_FOLDER = Path(__file__).parent / "pages"
NO_BREAK = "\N{NO-BREAK SPACE}"
"""Keeps a number and its unit on one line."""


def write_page(template: str, path: Path, **values: Any) -> None:
    """Render a template of ``pages/`` and write it, atomically.

    Args:
        template: Its name without ``.html.j2``.
        path: The file.
        values: The variables of the template.
    """
    write_text(path, page_environment(_FOLDER).get_template(f"{template}.html.j2").render(values))


def page_environment(folder: Path) -> jinja2.Environment:
    """Return the environment of HTML templates: all text is escaped, and `web_link` is the filter of links.

    Args:
        folder: The folder of the templates.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters["thousands"] = lambda number: f"{number:,}"
    environment.filters["counted"] = counted
    environment.filters["percent"] = lambda *arguments: percent(*arguments).replace(" ", NO_BREAK)
    environment.filters["score"] = score
    environment.filters["web_link"] = web_link
    environment.filters["folder_link"] = folder_link
    environment.globals["csv_cell_js"] = Markup(CSV_CELL_JS)  # noqa: S704  a script of ours
    return environment


def _shown(value: Any) -> Any:
    """Escape what is hidden in text; Jinja's own escaping follows."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def score(value: float | None, digits: int = 3) -> str:
    """Return a score as text; a dash for None or NaN."""
    return "–" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def folder_link(path: str) -> str:
    """Return the relative URL of a file beside the page or in a folder beside it.

    Example:
        >>> folder_link("mistakes/a:b/50 %.jpg")
        './mistakes/a%3Ab/50%20%25.jpg'
    """
    return f"./{quote(path, errors='surrogateescape')}"


def embedded_png(path: Path) -> str:
    """Return a PNG file as a ``data:`` URL."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
