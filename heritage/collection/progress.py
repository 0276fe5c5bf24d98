"""What a person sees while it runs: a live table on a terminal, a line now and then in a log."""

from __future__ import annotations

import abc
import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping

from rich.console import Console
from rich.live import Live
from rich.table import Table

from heritage.collection.http.limiter import HostLimiter

REFRESH = 0.5
LOG_EVERY = 30.0


class View(abc.ABC):
    """The state of a run as a table.

    Args:
        hosts: The museum's hosts.
    """

    def __init__(self, hosts: Mapping[str, HostLimiter]) -> None:
        self._hosts = hosts
        self._started = time.monotonic()

    def table(self) -> Table:
        """Return one row a host and a line for the whole."""
        table = Table(caption=self.line(), caption_justify="left")
        for name in ("host", "done", "a second", "MB", "under way", "waiting", "retries", "walls", "pause"):
            table.add_column(name, justify="left" if name == "host" else "right")
        elapsed = max(self.elapsed, 1e-6)
        for name, host in self._hosts.items():
            t = host.tally
            pause = f"{host.paused_for:.0f} s" if host.paused_for else ""
            table.add_row(
                name, f"{t.done:,}", f"{t.done / elapsed:.1f}", f"{t.bytes / 1e6:,.1f}",
                str(t.busy), str(t.waiting), str(t.retries), str(t.walls), pause,
            )  # fmt: skip
        return table

    def line(self) -> str:
        """Return the whole in one line."""
        walls = sum(host.tally.walls for host in self._hosts.values())
        return self.standing() + (f", {walls} walls" if walls else "")

    @abc.abstractmethod
    def standing(self) -> str:
        """Return how far the work is."""

    @property
    def elapsed(self) -> float:
        """Seconds since the view was made."""
        return time.monotonic() - self._started


class ListingView(View):
    """Progress of listing: how far is known by the parts alone, for no museum says how long its lists are."""

    def __init__(self, hosts: Mapping[str, HostLimiter]) -> None:
        super().__init__(hosts)
        self._part, self._number, self._parts, self._objects = "", 0, 0, 0

    def begin(self, part: str, number: int, parts: int) -> None:
        """Say that a part is being listed: its name, its number from 1, and how many there are."""
        self._part, self._number, self._parts = part, number, parts

    def add(self, objects: int) -> None:
        """Count objects that were named."""
        self._objects += objects

    def standing(self) -> str:
        """Return which part is being listed, and how many objects all parts named."""
        part = f" {self._part} ({self._number} of {self._parts})" if self._parts else ""
        return f"Listing{part}: {self._objects:,} objects, {_span(self.elapsed)}"


class CollectingView(View):
    """Progress of collecting.

    Args:
        hosts: The museum's hosts.
        progress: Returns how many photographs are stored, and how many are expected in all.
    """

    def __init__(self, hosts: Mapping[str, HostLimiter], progress: Callable[[], tuple[int, int]]) -> None:
        super().__init__(hosts)
        self._progress = progress
        self._stored_at_start = progress()[0]

    def standing(self) -> str:
        """Return how many photographs are stored, and the time left at the rate so far."""
        stored, expected = self._progress()
        elapsed = self.elapsed
        fetched = stored - self._stored_at_start
        left = "" if not fetched else f", about {_span((expected - stored) * elapsed / fetched)} left"
        return f"{stored:,} of about {expected:,} photographs, {_span(elapsed)}{left}"


@contextlib.asynccontextmanager
async def shown(view: View, console: Console) -> AsyncIterator[None]:
    """Show a view while the block runs."""
    if console.is_terminal:
        with Live(view.table(), console=console, auto_refresh=False, transient=True) as live:
            async with _repeated(REFRESH, lambda: live.update(view.table(), refresh=True)):
                yield
    else:
        async with _repeated(LOG_EVERY, lambda: console.print(view.line(), highlight=False)):
            yield


@contextlib.asynccontextmanager
async def _repeated(seconds: float, do: Callable[[], None]) -> AsyncIterator[None]:
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


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{max(0, seconds):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
