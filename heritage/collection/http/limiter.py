"""Rate limit, concurrency limit and pauses of one host.

Every request passes through the limiter of its host, including retries, redirects and ``robots.txt``.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from heritage.collection.http.errors import StoppingError
from heritage.errors import CollectionError

WALL_RESET_AFTER = 100
"""Consecutive successful responses after which a host that had bot walls is queried at its full rate."""


@dataclass(slots=True)
class HostStats:
    """Counters of a host, for the progress display.

    Attributes:
        completed: Successful responses.
        bytes: Their size.
        retries: Repeated requests.
        walls: Bot walls.
        waiting: Requests waiting for a slot.
        active: Requests in flight.
    """

    completed: int = 0
    bytes: int = 0
    retries: int = 0
    walls: int = 0
    waiting: int = 0
    active: int = 0


class HostLimiter:
    """The limiter of one host.

    Args:
        host: Its name, for messages.
        rate: Requests per second; None for no limit (the user's own server).
        concurrency: Maximum number of concurrent requests.
        wall_pause: Seconds without requests after a bot wall.
        max_walls: Bot walls in a row that end the run: without a successful response of the same type between
            them. It also bounds how often the rate is halved.
        stop: Set when no new request may start.
        clock: A monotonic clock, in seconds.
    """

    def __init__(
        self,
        host: str,
        *,
        rate: float | None,
        concurrency: int,
        wall_pause: float,
        max_walls: int,
        stop: asyncio.Event,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.host = host
        self.stats = HostStats()
        self._interval = 1 / rate if rate else 0.0
        self._connections = asyncio.Semaphore(concurrency)
        self._queue = asyncio.Lock()
        self._wall_pause = wall_pause
        self._max_walls = max_walls
        self._stop = stop
        self._clock = clock
        self._next = 0.0
        self._paused_until = 0.0
        self._last_wall = -1.0
        self._walls_in_a_row: Counter[str] = Counter()
        self._completed: Counter[str] = Counter()
        self._halvings = 0
        self._consecutive_successes = 0
        self._consecutive_refusals = 0

    @contextlib.asynccontextmanager
    async def slot(self) -> AsyncIterator[float]:
        """Wait for a slot and hold it while the block runs.

        Yields:
            The time at which the request is sent.

        Raises:
            StoppingError: The collector is stopping.
            CollectionError: The host has put up too many bot walls.
        """
        self.stats.waiting += 1
        try:
            await self._connections.acquire()
            try:
                async with self._queue:
                    await self._wait()
            except BaseException:  # a cancelled task, too, must give its connection back; raised again
                self._connections.release()
                raise
        finally:
            self.stats.waiting -= 1
        self.stats.active += 1
        try:
            yield self._clock()
        finally:
            self.stats.active -= 1
            self._connections.release()

    async def _wait(self) -> None:
        # A pause may be set, or extended, while this request waits.
        while True:
            if self._stop.is_set():
                raise StoppingError
            remaining = max(self._next, self._paused_until) - self._clock()
            if remaining <= 0:
                break
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), remaining)
        # Counted from now, not from the last slot: idle time is not saved up for a burst.
        # Bot walls halve the rate.
        self._next = self._clock() + self._interval * 2**self._halvings

    @property
    def paused_for(self) -> float:
        """Seconds until the pause ends; 0 if the host is not paused."""
        return max(0.0, self._paused_until - self._clock())

    @property
    def interval(self) -> float:
        """Minimum number of seconds between two requests."""
        return self._interval

    def set_min_interval(self, interval: float) -> None:
        """Increase the seconds between two requests to at least this (crawl delay of robots.txt)."""
        self._interval = max(self._interval, interval)

    def pause(self, seconds: float) -> None:
        """Send no request to this host for some seconds."""
        self._paused_until = max(self._paused_until, self._clock() + seconds)

    def completed(self, expected: str) -> int:
        """Return the number of successful responses of a type."""
        return self._completed[expected]

    def record_success(self, size: int, sent_at: float | None = None, expected: str = "json") -> None:
        """Count a successful response.

        Args:
            size: Its size in bytes.
            sent_at: When the request was sent; None for now. A response to a request that was in flight when
                a wall was recorded does not show that the wall is gone.
            expected: The type of content requested. A host may let photographs pass and wall its records.
        """
        self.stats.completed += 1
        self.stats.bytes += size
        self._completed[expected] += 1
        self._consecutive_refusals = 0
        if sent_at is None or sent_at > self._last_wall:
            self._walls_in_a_row[expected] = 0
        self._consecutive_successes += 1
        if self._consecutive_successes >= WALL_RESET_AFTER:
            self._halvings = 0

    def record_refusal(self, sent_at: float, expected: str = "json") -> None:
        """Count a bare 403; three in a row are treated as a bot wall."""
        self._consecutive_refusals += 1
        if self._consecutive_refusals >= self._max_walls:
            self._consecutive_refusals = 0
            self.record_wall(sent_at, expected)

    def record_wall(self, sent_at: float, expected: str = "json") -> None:
        """Count a bot wall and pause.

        Args:
            sent_at: When the request was sent. Responses to requests that were in flight when a wall was
                recorded belong to the same wall.
            expected: The type of content requested.

        Raises:
            CollectionError: The maximum number of walls in a row is reached.
        """
        if sent_at <= self._last_wall:
            return
        self._last_wall = self._clock()
        self._walls_in_a_row[expected] += 1
        self._halvings = min(self._halvings + 1, self._max_walls - 1)
        self._consecutive_successes = 0
        self.stats.walls += 1
        self.pause(self._wall_pause)
        if self._walls_in_a_row[expected] >= self._max_walls:
            raise CollectionError(
                f"the host returned a page for robots instead of data {self._max_walls} times in a row",
                where=self.host,
                remedy="wait an hour, then run the same command again with a lower rate "
                "(source.hosts.<name>.rate); what was collected is kept",
            )
