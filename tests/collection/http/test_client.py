"""The client against a server with faults: retries, redirects, pauses, bot walls and the cache."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from heritage.collection.http.client import Client
from heritage.collection.http.errors import FetchError, StoppingError
from heritage.demo.server import serve
from heritage.errors import CollectionError
from tests.collection import faults
from tests.collection.faults import HTML, WALL, FaultyMuseum
from tests.collection.http.fetching import fetch_image, fetch_json, handle, run

PASSING = {
    "500": faults.status(500),
    "503 with Retry-After": faults.status(503, Retry_After="0"),
    "429 with Retry-After": faults.status(429, b"slow down", Retry_After="0"),
    "reset": faults.reset,
    "truncated": faults.truncated(10),
    "wall of status 403": faults.status(403, WALL, **HTML),
    "wall of status 200": faults.body(WALL, "text/html"),
    "wall with the type of JSON": faults.body(WALL, "application/json"),
    "not JSON": faults.body(b'{"path": "/a"', "application/json"),
    "empty": faults.body(b"", "application/json"),
}


@pytest.mark.parametrize("name", PASSING)
def test_temporary_errors_are_retried(museum: FaultyMuseum, base: str, name: str) -> None:
    museum.once("/a", PASSING[name])
    assert fetch_json(base, "/a") == {"path": "/a"}
    assert museum.requested["/a"] == 2


def test_attempts_are_bounded_and_counted(museum: FaultyMuseum, base: str) -> None:
    museum.always("/a", faults.status(500))
    with pytest.raises(FetchError, match="status 500") as caught:
        fetch_json(base, "/a", retry_policy={"attempts": 4})
    assert (caught.value.state, caught.value.attempts, museum.requested["/a"]) == ("failed", 4, 4)


@pytest.mark.parametrize("fault", [faults.slow_drip, faults.endless], ids=["drip", "endless"])
def test_an_endless_response_is_aborted(museum: FaultyMuseum, base: str, fault: faults.Fault) -> None:
    museum.always("/a.jpg", fault)
    with pytest.raises(FetchError, match=r"too long|over the limit"):
        fetch_image(
            base, "/a.jpg", retry_policy={"attempts": 1, "total_timeout": 0.6, "max_image_bytes": 2_000_000}
        )


def test_redirects_are_followed_among_the_sources_own_hosts(museum: FaultyMuseum, base: str) -> None:
    museum.always("/a", faults.status(302, Location="/b"))
    assert fetch_json(base, "/a") == {"path": "/b"}
    with serve(FaultyMuseum(handle)) as other:
        museum.always("/c", faults.status(307, Location=f"{other}/d"))
        with pytest.raises(FetchError, match="not one of"):
            fetch_json(base, "/c")
        assert fetch_json(base, "/c", allowed_hosts=[other.removeprefix("http://")]) == {"path": "/d"}


def test_three_bot_walls_end_requests_to_a_host(museum: FaultyMuseum, base: str) -> None:
    museum.always("/", faults.status(403, WALL, **HTML))
    with pytest.raises(CollectionError, match=r"3 times.*run the same command again"):
        fetch_json(base, "/a", retry_policy={"attempts": 9})
    assert museum.requested["/a"] == 3


def test_concurrent_requests_count_one_bot_wall(museum: FaultyMuseum, base: str) -> None:
    for path in ("/a", "/b"):
        museum.once(path, faults.status(403, WALL, **HTML))

    async def do(client: Client) -> int:
        await asyncio.gather(client.json(f"{base}/a"), client.json(f"{base}/b"))
        (host,) = client.hosts.values()
        return host.stats.walls

    # robots.txt is fetched first, so that both requests start together.
    async def warm(client: Client) -> int:
        await client.json(f"{base}/warm")
        return await do(client)

    assert run(base, warm) == 1


def test_one_page_among_successes_fails_that_url_only(museum: FaultyMuseum, base: str) -> None:
    museum.always("/page.jpg", faults.body(b"<!DOCTYPE html><p>sorry", "image/jpeg"))

    async def do(client: Client) -> str:
        async def others() -> None:
            for number in range(30):
                await client.fetch(f"{base}/{number}.jpg", "image")

        async def page() -> str:
            with pytest.raises(FetchError, match="a page") as caught:
                await client.fetch(f"{base}/page.jpg", "image")
            return caught.value.state

        return (await asyncio.gather(page(), others()))[0]

    assert run(base, do) == "refused"
    assert museum.requested["/page.jpg"] == 2
    assert museum.requested["/29.jpg"] == 1


def test_a_long_retry_after_ends_the_run(museum: FaultyMuseum, base: str) -> None:
    museum.always("/a", faults.status(429, Retry_After="7200"))
    with pytest.raises(CollectionError, match=r"2\.0 hours"):
        fetch_json(base, "/a")


def test_a_stop_ends_the_waiting(museum: FaultyMuseum, base: str) -> None:
    museum.always("/a", faults.status(429, Retry_After="4"))
    stop = asyncio.Event()

    async def do(client: Client) -> None:
        asyncio.get_running_loop().call_later(0.2, stop.set)
        await client.json(f"{base}/a")

    with pytest.raises(StoppingError):
        run(base, do, stop=stop)
    assert museum.requested["/a"] == 1


def test_the_cache_replaces_requests(museum: FaultyMuseum, base: str, tmp_path: Any) -> None:
    from heritage.collection.http.cache import RecordCache

    cache = RecordCache(tmp_path / "records.sqlite", max_age_days=1.0)
    cache.put(f"{base}/a", json.dumps({"kept": True}).encode())

    async def do(client: Client) -> list[Any]:
        client._cache = cache
        return [
            (await client.json(f"{base}/a"))[1],
            (await client.json(f"{base}/b"))[1],
            (await client.json(f"{base}/b"))[1],
            (await client.json(f"{base}/a", fresh=True))[1],
        ]

    assert run(base, do) == [{"kept": True}, {"path": "/b"}, {"path": "/b"}, {"path": "/a"}]
    assert (museum.requested["/a"], museum.requested["/b"]) == (1, 1)
    old = RecordCache(tmp_path / "records.sqlite", max_age_days=1e-9)
    assert old.get(f"{base}/b") is None
    for opened in (cache, old):
        opened.close()


@pytest.mark.parametrize("code", [429, 503])
def test_an_overloaded_host_is_paused_as_a_whole(museum: FaultyMuseum, base: str, code: int) -> None:
    museum.once("/a", faults.status(code))

    async def do(client: Client) -> float:
        task = asyncio.create_task(client.json(f"{base}/a"))
        while not museum.requested["/a"]:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        started = time.monotonic()
        await client.json(f"{base}/b")
        took = time.monotonic() - started
        await task
        return took

    waits = {"backoff": 1.0, "backoff_cap": 1.0}
    assert run(base, do, retry_policy=waits) > 0.3


def test_retry_after_behind_a_redirect_pauses_the_other_host(museum: FaultyMuseum, base: str) -> None:
    behind = FaultyMuseum(handle)
    behind.once("/b", faults.status(429, Retry_After="1"))
    with serve(behind) as other:
        museum.always("/a", faults.status(302, Location=f"{other}/b"))
        paused: dict[str, float] = {}

        async def do(client: Client) -> Any:
            task = asyncio.create_task(client.json(f"{base}/a"))
            while not behind.requested["/b"]:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            paused.update({name: host.paused_for for name, host in client.hosts.items()})
            return (await task)[1]

        assert run(base, do, allowed_hosts=[other.removeprefix("http://")]) == {"path": "/b"}
        assert paused[base.removeprefix("http://")] == 0
        assert paused[other.removeprefix("http://")] > 0.5


def test_requests_have_the_user_agent(museum: FaultyMuseum, base: str) -> None:
    fetch_json(base, "/a")
    assert {request.headers["user-agent"] for request in museum.requests} == {"heritage-collector/1 (test)"}
