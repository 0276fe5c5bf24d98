"""The limiter on a clock of its own: turns are even, shared, and interrupted by pauses."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from heritage.collection.http.errors import StoppingError
from heritage.collection.http.limiter import FORGIVEN_AFTER, HostLimiter
from heritage.errors import CollectionError


class Clock:
    """Time that passes only while somebody waits for it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0

        async def wait_for(waiting: Any, seconds: float) -> None:
            waiting.close()
            await asyncio.sleep(0)
            self.now += seconds
            raise TimeoutError

        monkeypatch.setattr("heritage.collection.http.limiter.asyncio.wait_for", wait_for)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def limiter(clock: Clock, rate: float | None = 2.0, stop: asyncio.Event | None = None) -> HostLimiter:
    return HostLimiter(
        "museum.example", rate=rate, concurrency=3, wall_pause=60.0, most_walls=3,
        stop=stop or asyncio.Event(), clock=clock,
    )  # fmt: skip


async def turns(host: HostLimiter, number: int) -> list[float]:
    """Ask for turns all at once."""

    async def one() -> float:
        async with host.turn() as at:
            return at

    return sorted(await asyncio.gather(*(one() for _ in range(number))))


def gaps(times: list[float]) -> list[float]:
    return [later - earlier for earlier, later in itertools.pairwise(times)]


def test_turns_are_evenly_spaced_however_many_ask(clock: Clock) -> None:
    found = asyncio.run(turns(limiter(clock), 9))
    assert gaps(found) == pytest.approx([0.5] * 8)


def test_idle_time_is_not_saved_up(clock: Clock) -> None:
    async def main() -> list[float]:
        host = limiter(clock)
        await turns(host, 1)
        clock.now += 100
        return await turns(host, 4)

    found = asyncio.run(main())
    assert gaps(found) == pytest.approx([0.5] * 3)


def test_no_rate_is_no_waiting(clock: Clock) -> None:
    assert set(asyncio.run(turns(limiter(clock, rate=None), 50))) == {1000.0}


def test_no_more_than_the_allowed_requests_are_under_way(clock: Clock) -> None:
    async def main() -> int:
        host, most = limiter(clock, rate=None), 0

        async def one() -> None:
            nonlocal most
            async with host.turn():
                most = max(most, host.tally.busy)
                await asyncio.sleep(0)

        await asyncio.gather(*(one() for _ in range(20)))
        assert host.tally.busy == host.tally.waiting == 0
        return most

    assert asyncio.run(main()) == 3


def test_a_wall_silences_the_host_and_slows_it_down(clock: Clock) -> None:
    async def main() -> list[float]:
        host = limiter(clock)
        async with host.turn() as at:
            host.wall(at)
        assert host.paused_for == 60.0
        return await turns(host, 3)

    found = asyncio.run(main())
    assert found[0] == 1060.0
    assert gaps(found) == pytest.approx([1.0, 1.0])


def test_the_third_wall_in_a_row_ends_it(clock: Clock) -> None:
    async def main() -> None:
        host = limiter(clock)
        for _ in range(3):
            async with host.turn() as at:
                host.wall(at)

    with pytest.raises(CollectionError, match="3 times"):
        asyncio.run(main())


def test_walls_are_forgiven_after_enough_good_answers(clock: Clock) -> None:
    async def main() -> HostLimiter:
        host = limiter(clock)
        for _ in range(5):
            async with host.turn() as at:
                host.wall(at)
            for _ in range(FORGIVEN_AFTER):
                host.good(1)
        return host

    assert asyncio.run(main()).tally.walls == 5


def test_three_refusals_in_a_row_are_a_wall(clock: Clock) -> None:
    host = limiter(clock)
    for answers in ("rrgrr", "r"):
        for answer in answers:
            clock.now += 1
            host.refusal(clock.now) if answer == "r" else host.good(1)
        assert host.tally.walls == (answers == "r")


def test_a_stop_lets_nobody_through(clock: Clock) -> None:
    async def main() -> None:
        stop = asyncio.Event()
        stop.set()
        await turns(limiter(clock, stop=stop), 1)

    with pytest.raises(StoppingError):
        asyncio.run(main())


def test_a_host_that_asks_for_patience_gets_it(clock: Clock) -> None:
    host = limiter(clock)
    host.slow_down(10.0)
    host.slow_down(1.0)
    found = asyncio.run(turns(host, 3))
    assert gaps(found) == pytest.approx([10.0, 10.0])
