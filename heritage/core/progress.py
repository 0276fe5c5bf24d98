"""A progress bar on a terminal and in a notebook; elsewhere, a log line every 15 seconds."""

from __future__ import annotations

import logging
import sys
import time
from importlib.util import find_spec
from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from heritage.core.console import Console
from heritage.core.terminal import print_line

log = logging.getLogger(__name__)

_LOG_EVERY = 15.0  # seconds


class Progress:
    """Show how many items are done; a context manager.

    The bar is drawn on stderr, so that a command's output can be piped.

    Args:
        description: The operation, shown before the bar.
        total: Number of items.
        done: Number of items that an earlier run has finished; they do not count towards the speed.
        unit: Name of the items in the speed.
        logs: Whether to log lines: a summary at the end, and the progress if there is no bar.

    Example:
        >>> with Progress("resizing", total=2) as progress:
        ...     for _ in range(2):
        ...         progress.advance(1)
    """

    def __init__(
        self, description: str, total: int, *, done: int = 0, unit: str = "images", logs: bool = True
    ) -> None:
        self._description, self._total, self._unit, self._logs = description, total, unit, logs
        self._done, self._items, self._steps = done, 0, 0
        # A notebook with ipywidgets draws the bar.
        self.console = Console(file=sys.stderr, force_jupyter=None)
