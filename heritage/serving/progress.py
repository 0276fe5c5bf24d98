"""How far a long list of pictures is: a bar on a terminal, now and then a line everywhere else."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_EVERY = 30.0  # seconds between lines


class PictureProgress:
    """Counts pictures on stderr.

    Args:
        total: How many there are.
        done: How many an earlier start has answered.
    """

    def __init__(self, total: int, done: int) -> None:
        self._console = Console(file=sys.stderr)
        self._bar = Progress(
            TextColumn("pictures"), BarColumn(bar_width=None), MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"), TimeRemainingColumn(),
            console=self._console, disable=not self._console.is_terminal, transient=True,
        )  # fmt: skip
        self._task = self._bar.add_task("", total=total, completed=done, speed="")
        self._total, self._done, self._new = total, done, 0
        self._began = self._said = time.perf_counter()

    def __enter__(self) -> PictureProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def advance(self, count: int) -> None:
        """Count pictures."""
        self._new += count
        now = time.perf_counter()
        speed = f"{self._new / max(now - self._began, 1e-9):,.0f} pictures/s"
        self._bar.update(self._task, advance=count, speed=speed)
        if not self._console.is_terminal and now - self._said >= _EVERY:
            self._said = now
            print(f"{self._done + self._new:,} of {self._total:,} pictures, {speed}", file=sys.stderr)
