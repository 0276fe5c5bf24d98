"""What a person sees while it runs: a live table on a terminal, a line now and then in a log."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping

from rich.console import Console
from rich.live import Live
from rich.table import Table

from heritage.collection.limiter import HostLimiter

REFRESH = 0.5
LOG_EVERY = 30.0


class View:
    """The state of a run as a table.

    Args:
        hosts: The museum's hosts.
        progress: Returns how many photographs are stored, and how many are expected in all.
    """

    def __init__(self, hosts: Mapping[str, HostLimiter], progress: Callable[[], tuple[int, int]]) -> None:
        self._hosts = hosts
        self._progress = progress
        self._started = time.monotonic()
        self._stored_at_start = progress()[0]

    def table(self) -> Table:
        """Return one row a host and a line for the whole."""
        table = Table(caption=self.line(), caption_justify="left")
        for name in ("host", "done", "a second", "MB", "under way", "waiting", "retries", "walls", "pause"):
            table.add_column(name, justify="left" if name == "host" else "right")
        elapsed = max(time.monotonic() - self._started, 1e-6)
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
        stored, expected = self._progress()
        elapsed = time.monotonic() - self._started
        fetched = stored - self._stored_at_start
        left = "" if not fetched else f", about {_span((expected - stored) * elapsed / fetched)} left"
        walls = sum(host.tally.walls for host in self._hosts.values())
        return f"{stored:,} of about {expected:,} photographs, {_span(elapsed)}{left}" + (
            f", {walls} walls" if walls else ""
        )


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
