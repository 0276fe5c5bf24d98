"""How far a long stage is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

log = logging.getLogger(__name__)

_EVERY = 15.0  # seconds between lines


class Progress:
    """Counts finished images; a context manager.

    Args:
        what: What is being done, for the display.
        total: How many there are.
    """

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total, self._done = what, total, 0
        self._started = self._said = time.monotonic()
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Bar(*columns, transient=True) if sys.stderr.isatty() else None

    def __enter__(self) -> Progress:
        if self._bar:
            self._bar.start()
            self._task = self._bar.add_task(self._what, total=self._total)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()
        seconds = time.monotonic() - self._started
        if self._done:
            log.info("%s: %s images in %.0f s", self._what, f"{self._done:,}", seconds)

    def advance(self, count: int) -> None:
        """Count ``count`` more images as done."""
        self._done += count
        if self._bar:
            self._bar.advance(self._task, count)
        elif time.monotonic() - self._said > _EVERY:
            self._said = time.monotonic()
            rate = self._done / (self._said - self._started)
            left = (self._total - self._done) / rate / 60
            log.info("%s: %s of %s, %.0f/s, %.0f min left", self._what, f"{self._done:,}", f"{self._total:,}",
                     rate, left)  # fmt: skip
