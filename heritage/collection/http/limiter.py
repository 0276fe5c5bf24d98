"""Taking turns at a museum's host: one rate, one number of connections, one patience for everybody.

Every request passes here, retries, redirects and ``robots.txt`` included, so that no part of the
collector can be impolite by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from heritage.collection.http.errors import StoppingError
from heritage.errors import CollectionError

FORGIVEN_AFTER = 100
"""Good answers in a row after which earlier bot walls of a host no longer count."""


@dataclass(slots=True)
class Tally:
    """What a host has done so far, for people to see."""

    done: int = 0
    bytes: int = 0
    retries: int = 0
    walls: int = 0
    waiting: int = 0
    busy: int = 0


class HostLimiter:
    """The turns of one host.

    Args:
        host: Its name, for messages.
        rate: Requests a second; None does not limit (for a server of one's own).
        concurrency: Requests under way at once.
        wall_pause: Seconds of silence after a bot wall.
        most_walls: The wall that ends the run.
        stop: Set when nothing new may start.
        clock: Seconds on a clock that never goes back.
    """

    def __init__(
        self,
        host: str,
        *,
        rate: float | None,
        concurrency: int,
        wall_pause: float,
        most_walls: int,
        stop: asyncio.Event,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.host = host
        self.tally = Tally()
        self._interval = 1 / rate if rate else 0.0
        self._places = asyncio.Semaphore(concurrency)
        self._queue = asyncio.Lock()
        self._wall_pause = wall_pause
        self._most_walls = most_walls
        self._stop = stop
        self._clock = clock
        self._next = 0.0
        self._paused_until = 0.0
        self._wall_seen = -1.0
        self._walls_in_a_row = 0
        self._good_in_a_row = 0
        self._refusals_in_a_row = 0

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[float]:
        """Wait for a turn and hold a place while the block runs; yields the time of the request.

        Raises:
            StoppingError: The collector is stopping.
            CollectionError: The host put up its last wall.
        """
        self.tally.waiting += 1
        try:
            await self._places.acquire()
            try:
                async with self._queue:
                    await self._wait()
            except BaseException:
                self._places.release()
                raise
        finally:
            self.tally.waiting -= 1
        self.tally.busy += 1
        try:
            yield self._clock()
        finally:
            self.tally.busy -= 1
            self._places.release()

    async def _wait(self) -> None:
        # A pause may be set, and set longer, while this one waits.
        while True:
            if self._stop.is_set():
                raise StoppingError
            left = max(self._next, self._paused_until) - self._clock()
            if left <= 0:
                break
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), left)
        # Counted from now, not from the last slot: idle time is not saved up for a burst.
        # A host that put up walls is asked less often until it is content again.
        self._next = self._clock() + self._interval * 2**self._walls_in_a_row

    @property
    def paused_for(self) -> float:
        """Seconds until the host is asked again; 0 where it is not paused."""
        return max(0.0, self._paused_until - self._clock())

    @property
    def interval(self) -> float:
        """Seconds between two requests."""
        return self._interval

    def slow_down(self, interval: float) -> None:
        """Keep at least so many seconds between requests (robots.txt asks for it)."""
        self._interval = max(self._interval, interval)

    def pause(self, seconds: float) -> None:
        """Ask nothing of this host for so many seconds."""
        self._paused_until = max(self._paused_until, self._clock() + seconds)

    def good(self, size: int) -> None:
        """Count a good answer of so many bytes."""
        self.tally.done += 1
        self.tally.bytes += size
        self._refusals_in_a_row = 0
        self._good_in_a_row += 1
        if self._good_in_a_row >= FORGIVEN_AFTER:
            self._walls_in_a_row = 0

    def refusal(self, asked_at: float) -> None:
        """Count a 403 without a page: three in a row are a wall in other clothes."""
        self._refusals_in_a_row += 1
        if self._refusals_in_a_row >= self._most_walls:
            self._refusals_in_a_row = 0
            self.wall(asked_at)

    def wall(self, asked_at: float) -> None:
        """Count a bot wall and pause.

        Args:
            asked_at: When the request was made: answers to requests that were already under way when
                the wall was seen show the same wall.

        Raises:
            CollectionError: This was one wall too many.
        """
        if asked_at <= self._wall_seen:
            return
        self._wall_seen = self._clock()
        self._walls_in_a_row += 1
        self._good_in_a_row = 0
        self.tally.walls += 1
        self.pause(self._wall_pause)
        if self._walls_in_a_row >= self._most_walls:
            raise CollectionError(
                f"answered {self._most_walls} times with a page for robots instead of data",
                where=self.host,
                remedy="wait an hour, then start the same command again with a lower rate "
                "(source.hosts.<name>.rate); what was collected is kept",
            )
