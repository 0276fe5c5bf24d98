"""The limiter with a simulated clock: spacing, concurrency, pauses and bot walls."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from heritage.collection.http.errors import StoppingError
from heritage.collection.http.limiter import WALL_RESET_AFTER, HostLimiter
from heritage.errors import CollectionError


class Clock:
    """A clock that advances only when something waits."""

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
        "museum.example", rate=rate, concurrency=3, wall_pause=60.0, max_walls=3,
        stop=stop or asyncio.Event(), clock=clock,
    )  # fmt: skip


async def turns(host: HostLimiter, number: int) -> list[float]:
    """Request slots concurrently; return their times in order."""

    async def one() -> float:
        async with host.slot() as at:
            return at

    return sorted(await asyncio.gather(*(one() for _ in range(number))))


def gaps(times: list[float]) -> list[float]:
    return [later - earlier for earlier, later in itertools.pairwise(times)]


def test_slots_are_evenly_spaced_with_any_number_of_requests(clock: Clock) -> None:
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


def test_without_a_rate_there_is_no_waiting(clock: Clock) -> None:
    assert set(asyncio.run(turns(limiter(clock, rate=None), 50))) == {1000.0}


def test_the_number_of_concurrent_requests_is_limited(clock: Clock) -> None:
    async def main() -> int:
        host, most = limiter(clock, rate=None), 0

        async def one() -> None:
            nonlocal most
            async with host.slot():
                most = max(most, host.stats.active)
                await asyncio.sleep(0)

        await asyncio.gather(*(one() for _ in range(20)))
        assert host.stats.active == host.stats.waiting == 0
        return most

    assert asyncio.run(main()) == 3


def test_a_bot_wall_pauses_the_host_and_halves_its_rate(clock: Clock) -> None:
    async def main() -> list[float]:
        host = limiter(clock)
        async with host.slot() as at:
            host.record_wall(at)
        assert host.paused_for == 60.0
        return await turns(host, 3)

    found = asyncio.run(main())
    assert found[0] == 1060.0
    assert gaps(found) == pytest.approx([1.0, 1.0])


def test_the_third_consecutive_bot_wall_ends_the_run(clock: Clock) -> None:
    async def main() -> None:
        host = limiter(clock)
        for _ in range(3):
            async with host.slot() as at:
                host.record_wall(at)

    with pytest.raises(CollectionError, match="3 times"):
        asyncio.run(main())


def test_bot_walls_no_longer_count_after_enough_successes(clock: Clock) -> None:
    async def main() -> HostLimiter:
        host = limiter(clock)
        for _ in range(5):
            async with host.slot() as at:
                host.record_wall(at)
            for _ in range(WALL_RESET_AFTER):
                host.record_success(1)
        return host

    assert asyncio.run(main()).stats.walls == 5


def test_bot_walls_among_good_responses_are_not_in_a_row(clock: Clock) -> None:
    """Each pauses the host; a good response that was in flight, or of another type, proves nothing."""

    async def wall(host: HostLimiter, expected: str = "json") -> float:
        async with host.slot() as at:
            host.record_wall(at, expected)
        return at

    async def main() -> None:
        host = limiter(clock)
        for _ in range(20):
            await wall(host)
            assert host.paused_for == 60.0
            async with host.slot() as at:
                host.record_success(1, at)
        assert (host.stats.walls, host.stats.completed) == (20, 20)
        assert gaps(await turns(host, 3)) == pytest.approx([2.0, 2.0])  # a quarter of the rate
        for _ in range(WALL_RESET_AFTER):
            host.record_success(1)
        clock.now += 2
        assert gaps(await turns(host, 3)) == pytest.approx([0.5, 0.5])
        sent_before = await wall(host)
        host.record_success(1, sent_before)
        await wall(host)
        async with host.slot() as at:
            host.record_success(1, at, "image")
        with pytest.raises(CollectionError, match="3 times in a row"):
            await wall(host)

    asyncio.run(main())


def test_three_consecutive_403_are_a_bot_wall(clock: Clock) -> None:
    host = limiter(clock)
    for sequence in ("rrgrr", "r"):
        for outcome in sequence:
            clock.now += 1
            host.record_refusal(clock.now) if outcome == "r" else host.record_success(1)
        assert host.stats.walls == (sequence == "r")


def test_no_slot_is_given_after_a_stop(clock: Clock) -> None:
    async def main() -> None:
        stop = asyncio.Event()
        stop.set()
        await turns(limiter(clock, stop=stop), 1)

    with pytest.raises(StoppingError):
        asyncio.run(main())


def test_a_crawl_delay_slows_the_host_down(clock: Clock) -> None:
    host = limiter(clock)
    host.set_min_interval(10.0)
    host.set_min_interval(1.0)
    found = asyncio.run(turns(host, 3))
    assert gaps(found) == pytest.approx([10.0, 10.0])
