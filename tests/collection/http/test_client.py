"""The client against a real server with faults."""

from __future__ import annotations

import asyncio
import email.utils
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from heritage.collection.http.body import PartBody
from heritage.collection.http.client import Client
from heritage.collection.http.errors import FetchError, StoppingError
from heritage.collection.http.responses import retry_after
from heritage.collection.http.settings import Endpoint
from heritage.collection.http.transport import is_public
from heritage.demo.server import Request, Response, file_response, json_response, serve
from heritage.errors import CollectionError
from tests.collection import faults
from tests.collection.faults import HTML, WALL, FaultyMuseum, jpeg
from tests.collection.runs import retry_policy

BIG = jpeg(1, 72) + bytes(range(256)) * 12_000  # 3 MB, of which only the beginning is a picture


def handle(request: Request) -> Response:
    if request.path == "/robots.txt":
        return Response(200, b"User-agent: *\nDisallow: /private/\n", {"Content-Type": "text/plain"})
    if request.path == "/big.jpg":
        return file_response(request, BIG, "image/jpeg")
    if request.path.endswith(".jpg"):
        return file_response(request, jpeg(1), "image/jpeg")
    return json_response({"path": request.path})


@pytest.fixture
def museum() -> FaultyMuseum:
    return FaultyMuseum(handle)


@pytest.fixture
def base(museum: FaultyMuseum) -> Iterator[str]:
    with serve(museum) as url:
        yield url


def run(base: str, do: Callable[[Client], Any], **changes: Any) -> Any:
    """Run ``do`` with a client; ``stop`` replaces its stop event."""

    async def main() -> Any:
        stop = changes.pop("stop", None) or asyncio.Event()
        endpoint = Endpoint(url=base, rate=changes.pop("rate", None), concurrency=2)
        client = Client(
            endpoints=[endpoint],
            allowed_hosts=changes.pop("allowed_hosts", []),
            user_agent="heritage-collector/1 (test)",
            retry_policy=retry_policy(**changes.pop("retry_policy", {})),
            allow_private=changes.pop("allow_private", True),
            stop=stop,
        )
        try:
            return await do(client)
        finally:
            await client.aclose()

    return asyncio.run(main())


def fetch_json(base: str, path: str, **changes: Any) -> Any:
    return run(base, lambda client: client.json(base + path), **changes)[1]


def fetch_image(base: str, path: str, **changes: Any) -> bytes:
    from heritage.collection.http.body import MemoryBody

    async def do(client: Client) -> bytes:
        body = MemoryBody()
        await client.fetch(base + path, "image", body)
        return body.in_memory()

    data: bytes = run(base, do, **changes)
    return data


PASSING = {
    "500": faults.status(500),
    "503 asking to wait": faults.status(503, Retry_After="0"),
    "429 asking to wait": faults.status(429, b"slow down", Retry_After="0"),
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


FINAL: dict[str, tuple[faults.Fault, str, str]] = {
    "not found": (faults.status(404, b'{"message":"ObjectID not found"}'), "gone", "ObjectID not found"),
    "retired": (faults.status(410, b"{}"), "gone", "status 410"),
    "bad request": (faults.status(400, b'{"message":"could not parse"}'), "refused", "could not parse"),
    "forbidden": (faults.status(403, b"<Error/>", Content_Type="application/xml"), "refused", "status 403"),
    "over the limit": (faults.body(bytes(300_000), "application/json"), "refused", "over the limit"),
    "redirect elsewhere": (faults.status(302, Location="http://169.254.169.254/a"), "refused", "not one of"),
    "redirect to a file": (faults.status(302, Location="file:///etc/passwd"), "refused", "not one of"),
    "redirect to nowhere": (faults.status(302), "refused", "without a Location header"),
    "redirect to itself": (faults.status(302, Location="/a"), "refused", "redirects"),
}  # fmt: skip


@pytest.mark.parametrize("name", FINAL)
def test_permanent_errors_are_not_retried(museum: FaultyMuseum, base: str, name: str) -> None:
    fault, state, reason = FINAL[name]
    museum.always("/a", fault)
    with pytest.raises(FetchError, match=reason) as caught:
        fetch_json(base, "/a", retry_policy={"max_record_bytes": 100_000})
    assert caught.value.state == state
    assert museum.requested["/a"] == (6 if "itself" in name else 1)


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


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("12", 12.0), (None, None), ("soon", None), ("-1", None), ("\u00b2", None)],
    ids=str,
)
def test_retry_after_is_read(value: str | None, seconds: float | None) -> None:
    assert retry_after(value) == seconds


def test_retry_after_may_be_a_date() -> None:
    found = retry_after(email.utils.formatdate(time.time() + 100, usegmt=True))
    assert found is not None
    assert 95 < found <= 100
    assert retry_after(email.utils.formatdate(time.time() - 100, usegmt=True)) == 0.0


def test_robots_txt_is_obeyed(museum: FaultyMuseum, base: str) -> None:
    with pytest.raises(FetchError, match=r"robots\.txt"):
        fetch_json(base, "/private/a")
    assert [request.path for request in museum.requests] == ["/robots.txt"]


def test_an_unavailable_robots_txt_disallows_everything(museum: FaultyMuseum, base: str) -> None:
    museum.always("/robots.txt", faults.status(500))
    with pytest.raises(FetchError, match="cannot be fetched"):
        fetch_json(base, "/a")
    assert museum.requested["/a"] == 0


def test_a_missing_robots_txt_allows_everything(museum: FaultyMuseum, base: str) -> None:
    museum.always("/robots.txt", faults.status(404))
    assert fetch_json(base, "/private/a") == {"path": "/private/a"}


def test_requests_have_the_user_agent(museum: FaultyMuseum, base: str) -> None:
    fetch_json(base, "/a")
    assert {request.headers["user-agent"] for request in museum.requests} == {"heritage-collector/1 (test)"}


def test_private_addresses_are_refused(museum: FaultyMuseum, base: str) -> None:
    # Plain http is refused before connecting; with https the connection is refused.
    with pytest.raises(FetchError, match="only plain https"):
        fetch_json(base, "/a", allow_private=False)
    secure = base.replace("http:", "https:")
    with pytest.raises(FetchError, match=r"private address 127\.0\.0\.1"):
        fetch_json(secure, "/a", allow_private=False)
    assert not museum.requests


def test_a_name_that_resolves_to_a_private_address_is_refused(
    museum: FaultyMuseum, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = base.rpartition(":")[2]
    looked_up = []

    async def rebound(*args: Any, **_: Any) -> list[Any]:
        # The first address is public, the second is the target of the attack.
        looked_up.append(args[1])
        return [(2, 1, 6, "", (address, int(port))) for address in ("93.184.216.34", "127.0.0.1")]

    monkeypatch.setattr(asyncio.base_events.BaseEventLoop, "getaddrinfo", rebound)
    with pytest.raises(FetchError, match=r"private address 127\.0\.0\.1"):
        fetch_json(f"https://museum.example:{port}", "/a", allow_private=False)
    assert set(looked_up) == {"museum.example"}
    assert not museum.requests


@pytest.mark.parametrize(
    ("address", "public"),
    [("8.8.8.8", True), ("10.0.0.1", False), ("127.0.0.1", False), ("169.254.169.254", False), ("::1", False),
     ("::ffff:10.0.0.1", False), ("fe80::1%eth0", False), ("100.64.0.1", False), ("224.0.0.1", False),
     ("2606:4700:4700::1111", True), ("0.0.0.0", False),  # noqa: S104
     ("2002:7f00:1::", False), ("64:ff9b::7f00:1", False)],
)  # fmt: skip
def test_public_addresses_are_recognised(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_a_stop_ends_the_waiting(museum: FaultyMuseum, base: str) -> None:
    museum.always("/a", faults.status(429, Retry_After="4"))
    stop = asyncio.Event()

    async def do(client: Client) -> None:
        asyncio.get_running_loop().call_later(0.2, stop.set)
        await client.json(f"{base}/a")

    with pytest.raises(StoppingError):
        run(base, do, stop=stop)
    assert museum.requested["/a"] == 1


def test_an_interrupted_large_file_is_resumed(museum: FaultyMuseum, base: str, tmp_path: Any) -> None:
    museum.once("/big.jpg", faults.truncated(2_000_000))
    part = tmp_path / "1.part"

    async def do(client: Client) -> tuple[int, bytes]:
        body = PartBody(part)
        response = await client.fetch(f"{base}/big.jpg", "image", body)
        return response.status, body.in_memory()

    code, data = run(base, do)
    assert code == 206
    assert data == BIG
    first, second = (request.headers for request in museum.requests if request.path == "/big.jpg")
    assert "range" not in first
    start = int(second["range"].removeprefix("bytes=").removesuffix("-"))
    assert 1_048_576 < start <= 2_000_000


def test_a_part_is_resumed_after_a_restart(museum: FaultyMuseum, base: str, tmp_path: Any) -> None:
    museum.once("/big.jpg", faults.truncated(2_000_000))
    part = tmp_path / "1.part"

    async def do(client: Client) -> bytes:
        body = PartBody(part)
        try:
            await client.fetch(f"{base}/big.jpg", "image", body)
            return body.in_memory()
        finally:
            body.close()

    with pytest.raises(FetchError):
        run(base, do, retry_policy={"attempts": 1})
    assert part.stat().st_size > 1_048_576
    assert run(base, do) == BIG


def test_a_part_of_another_version_is_not_resumed(museum: FaultyMuseum, base: str, tmp_path: Any) -> None:
    part = tmp_path / "1.part"
    part.write_bytes(bytes(1000))
    part.with_suffix(".tag").write_text('"another version"')

    async def do(client: Client) -> tuple[int, bytes]:
        body = PartBody(part)
        response = await client.fetch(f"{base}/big.jpg", "image", body)
        return response.status, body.in_memory()

    assert run(base, do) == (200, BIG)


def test_a_part_longer_than_the_file_is_discarded(museum: FaultyMuseum, base: str, tmp_path: Any) -> None:
    part = tmp_path / "1.part"
    part.write_bytes(bytes(len(BIG) + 5))
    tag = file_response(Request("/", {}, {}), BIG, "image/jpeg").headers["ETag"]
    part.with_suffix(".tag").write_text(tag)

    async def do(client: Client) -> bytes:
        body = PartBody(part)
        await client.fetch(f"{base}/big.jpg", "image", body)
        return body.in_memory()

    assert run(base, do) == BIG
    assert museum.requested["/big.jpg"] == 2


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


def in_pieces(response: Response) -> Response:
    """Send a bot wall whose first chunk is blank."""

    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(WALL) + 2}\r\n\r\n\n\n".encode())
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(WALL)
        await writer.drain()

    return Response(200, b"", raw=write)


FRAME = b'<div><iframe src="/_Incapsula_Resource?CWUDNSAI=20"></iframe></div>'


@pytest.mark.parametrize(
    "fault",
    [in_pieces, faults.body(FRAME, "text/html; charset=utf-8"), faults.status(403, FRAME, **HTML)],
    ids=["in pieces", "without a head", "without a head, 403"],
)
@pytest.mark.parametrize("path", ["/a", "/a.jpg"])
def test_bot_walls_are_recognised_in_other_forms(
    museum: FaultyMuseum, base: str, path: str, fault: faults.Fault
) -> None:
    museum.once(path, fault)

    async def do(client: Client) -> int:
        await client.fetch(base + path, "image" if path.endswith("jpg") else "json")
        (host,) = client.hosts.values()
        return host.stats.walls

    assert run(base, do) == 1


def test_a_photograph_with_the_type_of_a_page_is_accepted(museum: FaultyMuseum, base: str) -> None:
    museum.always("/a.jpg", faults.body(jpeg(1), "text/html"))
    assert fetch_image(base, "/a.jpg") == jpeg(1)


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
