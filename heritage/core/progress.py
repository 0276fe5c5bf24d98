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
from heritage.core.numbers import counted, plural
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
        unit: Singular name of the items; empty for none.
        logs: Whether to log lines: a summary at the end, and the progress if there is no bar.

    Example:
        >>> with Progress("resizing", total=2) as progress:
        ...     for _ in range(2):
        ...         progress.advance(1)
    """

    def __init__(
        self, description: str, total: int, *, done: int = 0, unit: str = "image", logs: bool = True
    ) -> None:
        self._description, self._total, self._unit, self._logs = description, total, unit, logs
        self._units = plural(unit) if unit else ""
        self._done, self._items, self._steps = done, 0, 0
        # Without ipywidgets a notebook cannot redraw a bar: print lines instead.
        self.console = Console(file=sys.stderr, force_jupyter=None)
        notebook = self.console.is_jupyter
        self._draws = self.console.is_terminal or (notebook and find_spec("ipywidgets") is not None)
        self._print = notebook and not self._draws
        self._bar = RichProgress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}", markup=False),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self._draws,
            transient=True,
        )
        self._task = self._bar.add_task(description, total=total, completed=done, speed="")
        self._started = self._logged = time.monotonic()

    def __enter__(self) -> Progress:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self._logs and self._steps:
            seconds = time.monotonic() - self._started
            log.info("%s: %s in %.0f s", self._description, counted(self._steps, self._unit), seconds)

    def start(self) -> None:
        """Show the bar and start measuring the speed."""
        self._started = self._logged = time.monotonic()
        self._bar.start()

    def stop(self) -> None:
        """Remove the bar."""
        self._bar.stop()

    def advance(self, count: int, *, items: int | None = None, description: str | None = None) -> None:
        """Count items as done.

        Args:
            count: Number of steps of the bar.
            items: Number of items in the speed; ``count`` by default.
            description: A new description.
        """
        self._steps += count
        self._items += count if items is None else items
        now = time.monotonic()
        rate = self._items / max(now - self._started, 1e-9)
        speed = f"{rate:,.0f} {self._units}/s"
        self._bar.update(self._task, advance=count, description=description, speed=speed)
        if (
            (self._logs or self._print)
            and not self._draws
            and self._steps
            and now - self._logged > _LOG_EVERY
        ):
            self._logged = now
            steps, seconds = self._done + self._steps, now - self._started
            minutes = (self._total - steps) * seconds / self._steps / 60
            what, of = description or self._description, f"{steps:,} of {self._total:,}"
            line = f"{what}: {of}, {speed}, {minutes:.0f} min left"
            if self._print:
                print_line(line, error=True)
            else:
                log.info("%s", line)
