"""Progress of a run: a live table on a terminal, a line every 30 seconds in a log."""

from __future__ import annotations

import abc
import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping

from rich.live import Live
from rich.table import Table

from heritage.collection.http.limiter import HostLimiter
from heritage.core.console import Console

REFRESH = 0.5
LOG_EVERY = 30.0


class ProgressTable(abc.ABC):
    """The state of a run as a table with one row per host.

    Args:
        hosts: The limiters of the museum's hosts.
    """

    def __init__(self, hosts: Mapping[str, HostLimiter]) -> None:
        self._hosts = hosts
        self._started = time.monotonic()

    def table(self) -> Table:
        """Return the table, with the status line as its caption."""
        table = Table(caption=self.line(), caption_justify="left")
        for name in (
            "host",
            "done",
            "per second",
            "MB",
            "in flight",
            "waiting",
            "retries",
            "bot walls",
            "pause",
        ):
            table.add_column(name, justify="left" if name == "host" else "right")
        elapsed = max(self.elapsed, 1e-6)
        for name, host in self._hosts.items():
            stats = host.stats
            pause = f"{host.paused_for:.0f} s" if host.paused_for else ""
            table.add_row(
                name, f"{stats.completed:,}", f"{stats.completed / elapsed:.1f}", f"{stats.bytes / 1e6:,.1f}",
                str(stats.active), str(stats.waiting), str(stats.retries), str(stats.walls), pause,
            )  # fmt: skip
        return table

    def line(self) -> str:
        """Return the status in one line."""
        walls = sum(host.stats.walls for host in self._hosts.values())
        return self.status() + (f", {walls} bot walls" if walls else "")

    @abc.abstractmethod
    def status(self) -> str:
        """Return the progress so far."""

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started


class ListingProgress(ProgressTable):
    """Progress of listing, by listing: museums do not publish the length of their lists in advance."""

    def __init__(self, hosts: Mapping[str, HostLimiter]) -> None:
        super().__init__(hosts)
        self._name, self._number, self._total, self._objects = "", 0, 0, 0

    def begin(self, name: str, number: int, total: int) -> None:
        """Start a listing: its name, its number counted from 1, and the number of listings."""
        self._name, self._number, self._total = name, number, total

    def add(self, objects: int) -> None:
        """Count listed objects."""
        self._objects += objects

    def status(self) -> str:
        """Return the current listing and the number of objects in all listings."""
        name = f" {self._name} ({self._number} of {self._total})" if self._total else ""
        return f"Listing{name}: {self._objects:,} objects, {_duration(self.elapsed)}"


class CollectionProgress(ProgressTable):
    """Progress of collecting.

    Args:
        hosts: The limiters of the museum's hosts.
        progress: Returns the number of stored photographs and the number expected in total.
    """

    def __init__(self, hosts: Mapping[str, HostLimiter], progress: Callable[[], tuple[int, int]]) -> None:
        super().__init__(hosts)
        self._progress = progress
        self._stored_at_start = progress()[0]

    def status(self) -> str:
        """Return the number of stored photographs and the time left at the rate so far."""
        stored, expected = self._progress()
        elapsed = self.elapsed
        fetched = stored - self._stored_at_start
        left = "" if not fetched else f", about {_duration((expected - stored) * elapsed / fetched)} left"
        return f"{stored:,} of about {expected:,} photographs, {_duration(elapsed)}{left}"


@contextlib.asynccontextmanager
async def live_progress(progress: ProgressTable, console: Console) -> AsyncIterator[None]:
    """Show the progress while the block runs."""
    if console.is_terminal:
        with Live(progress.table(), console=console, auto_refresh=False, transient=True) as live:
            async with _periodically(REFRESH, lambda: live.update(progress.table(), refresh=True)):
                yield
    else:
        async with _periodically(LOG_EVERY, lambda: console.print(progress.line(), highlight=False)):
            yield


@contextlib.asynccontextmanager
async def _periodically(seconds: float, do: Callable[[], None]) -> AsyncIterator[None]:
    async def repeat() -> None:
        while True:
            await asyncio.sleep(seconds)
            do()

    task = asyncio.create_task(repeat())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(0, seconds):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
