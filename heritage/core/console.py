"""rich's console for text that may come from others."""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console as RichConsole
from rich.text import Text

from heritage.core.escaping import terminal


class Console(RichConsole):
    """A console that prints each string on one line as it is, also in the cells and titles of tables.

    Brackets and colons are no markup, and hidden characters are escaped (`heritage.core.escaping.terminal`).
    In notebooks it prints plain lines to standard output, and neither HTML elements nor bars that move.

    Example:
        >>> Console().print("[bold]vase[/]")
        [bold]vase[/]
    """

    def __init__(self, **options: Any) -> None:
        # Kernels ask for colours (FORCE_COLOR), by which rich takes a cell's output for a terminal.
        notebook = {"force_terminal": False} if "ipykernel" in sys.modules else {}
        super().__init__(**{"markup": False, "emoji": False, "force_jupyter": False, **notebook, **options})

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a string as rich's text, escaped."""
        return super().render_str(terminal(text), **{**options, "markup": False, "emoji": False})
