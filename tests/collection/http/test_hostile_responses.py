"""A museum that attacks: what it sends is bounded while it is decoded, and it leads nowhere else."""

from __future__ import annotations

import asyncio
import functools
import gzip
import json
import os
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import httpx
import pytest

from heritage.collection.http.body import PartBody
from heritage.collection.http.cache import RecordCache
from heritage.collection.http.client import Client
from heritage.collection.http.errors import FetchError
from heritage.collection.http.responses import retry_after
from heritage.collection.http.robots import ROBOTS_BYTES, _bounded
from heritage.collection.ledger import unpacked
from heritage.collection.record import Record, RecordError, is_object_number
from heritage.demo.server import Request, Response, json_response, serve
from heritage.errors import CollectionError
from tests.collection import faults
from tests.collection.faults import FaultyMuseum, jpeg
from tests.collection.http.fetching import fetch_image, fetch_json, run
from tests.collection.recorded import OBJECTS, load, source

MEGABYTE = 1 << 20


def met_record() -> tuple[Any, dict[str, Any]]:
    """Return The Met's adapter and a record in the public domain."""
    records = (load(path) for path in OBJECTS.values())
    return source("met"), next(
        one for one in records if one.get("isPublicDomain") and one.get("primaryImage")
    )


def handle(request: Request) -> Response:
    if request.path == "/robots.txt":
        return Response(200, b"User-agent: *\nAllow: /\n", {"Content-Type": "text/plain"})
    return json_response({"path": request.path})


@pytest.fixture
def museum() -> FaultyMuseum:
    return FaultyMuseum(handle)


def instead(other: Response, _: Response) -> Response:
    return other


def encoded(data: bytes, encoding: str, status: int = 200) -> faults.Fault:
    headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
    return lambda _: Response(status, data, headers)


CONTENT = json.dumps({"path": "/a", "noise": os.urandom(60_000).hex()}).encode()


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("gzip", gzip.compress(CONTENT)),
        ("GZIP", gzip.compress(CONTENT[:9]) + gzip.compress(CONTENT[9:])),
        ("x-gzip", gzip.compress(CONTENT)),
        ("deflate", zlib.compress(CONTENT)),
        ("deflate", zlib.compress(CONTENT)[2:-4]),
        ("identity", CONTENT),
    ],
)
def test_one_encoding_is_decoded(museum: FaultyMuseum, base: str, encoding: str, data: bytes) -> None:
    museum.always("/a", encoded(data, encoding))
    assert fetch_json(base, "/a") == json.loads(CONTENT)


@pytest.mark.parametrize("encoding", ["gzip, gzip", "gzip,deflate", "br", "zstd", "gzip;q=1", "\x1b[2J"])
def test_other_encodings_are_refused(museum: FaultyMuseum, base: str, encoding: str) -> None:
    museum.always("/a", encoded(gzip.compress(gzip.compress(CONTENT)), encoding))
    with pytest.raises(FetchError, match="was not requested") as caught:
        fetch_json(base, "/a")
    assert caught.value.state == "refused"
    assert museum.requested["/a"] == 1


def test_an_encoded_range_is_refused(museum: FaultyMuseum, base: str) -> None:
    museum.always("/a.jpg", encoded(gzip.compress(jpeg(1)), "gzip", status=206))
    with pytest.raises(FetchError, match="was not requested"):
        fetch_image(base, "/a.jpg")


@pytest.mark.parametrize("data", [gzip.compress(CONTENT)[:-9], b"no gzip at all"], ids=["cut", "damaged"])
def test_damaged_gzip_is_retried(museum: FaultyMuseum, base: str, data: bytes) -> None:
    museum.once("/a", encoded(data, "gzip"))
    assert fetch_json(base, "/a") == {"path": "/a"}
    assert museum.requested["/a"] == 2


@pytest.mark.parametrize("expected", ["record", "image", "error"])
def test_a_bomb_is_refused_with_little_memory(museum: FaultyMuseum, base: str, expected: str) -> None:
    bomb = gzip.compress(b" " * (100 * MEGABYTE), 6)
    museum.always("/a", encoded(bomb, "gzip", status=404 if expected == "error" else 200))
    policy = {"max_record_bytes": MEGABYTE, "max_image_bytes": MEGABYTE}
    tracemalloc.start()
    with pytest.raises(
        FetchError, match="over the limit of 1,048,576 bytes" if expected != "error" else "404"
    ):
        (fetch_image if expected == "image" else fetch_json)(base, "/a", retry_policy=policy)
    assert tracemalloc.get_traced_memory()[1] < 8 * MEGABYTE
    tracemalloc.stop()


def test_cookies_are_not_accepted() -> None:
    sent: list[str | None] = []

    def set_cookie(request: Request) -> Response:
        sent.append(request.headers.get("cookie"))
        return Response(200, b"{}", {"Content-Type": "application/json", "Set-Cookie": "session=1; Path=/"})

    async def twice(client: Client) -> None:
        await client.json(f"{url}/a")
        await client.json(f"{url}/b")

    with serve(set_cookie) as url:
        run(url, twice)
    assert sent == [None] * 3  # robots.txt, too


ODD_JSON = {
    "nested lists": b"[" * 200_000 + b"]" * 200_000,
    "nested objects": b'{"a":' * 200_000 + b"1" + b"}" * 200_000,
    "a million digits": b'{"objectID": ' + b"9" * 1_000_000 + b"}",
    "not UTF-8": b'{"objectID": "\xff"}',
}


@pytest.mark.parametrize("name", ODD_JSON)
def test_odd_json_fails_the_url_alone(museum: FaultyMuseum, base: str, name: str) -> None:
    museum.always("/a", faults.body(ODD_JSON[name], "application/json"))
    with pytest.raises(FetchError, match="not JSON"):
        fetch_json(base, "/a", retry_policy={"attempts": 1, "max_record_bytes": 4_000_000})


def test_too_many_headers_fail_the_url_alone(museum: FaultyMuseum, base: str) -> None:
    museum.always("/a", faults.status(200, b"{}", **{f"X_{n}": "y" * 1000 for n in range(2000)}))
    with pytest.raises(FetchError, match="Receive buffer too long"):
        fetch_json(base, "/a", retry_policy={"attempts": 1})


@pytest.mark.parametrize(
    "range_", ["bytes " + "9" * 5000 + "-9/9", "bytes 0-1/" + "9" * 5000, "bytes \u0664-5/6"]
)
def test_ranges_of_thousands_of_digits_are_other_ranges(
    museum: FaultyMuseum, base: str, range_: str, tmp_path: Path
) -> None:
    from heritage.collection.http.body import PartBody

    museum.always(
        "/a.jpg", lambda _: Response(206, b"x", {"Content-Range": range_.encode().decode("latin-1")})
    )
    body = PartBody(tmp_path / "a.part")
    with pytest.raises(FetchError, match="another range than requested"):
        run(base, lambda client: client.fetch(f"{base}/a.jpg", "image", body), retry_policy={"attempts": 1})


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("9" * 5000, None), ("\u0664", None), ("Fri, 31 Dec 9999 23:59:59 GMT", pytest.approx(2.5e11, rel=0.1)),
     ("Fri, 31 Dec 99999 23:59:59 GMT", None), ("-1", None)],
)  # fmt: skip
def test_odd_values_of_retry_after(value: str, seconds: object) -> None:
    assert retry_after(value) == seconds


ELSEWHERE = (
    "http://10.0.0.1/a.jpg", "http://2130706433:{port}/a.jpg", "http://[::ffff:127.0.0.1]:{port}/a.jpg",
    "http://169.254.169.254/latest/meta-data/", "file:///etc/passwd", "gopher://127.0.0.1:22/",
    "http://127.0.0.1:{port}@10.0.0.1/a.jpg", "http://user@127.0.0.1:{port}/a.jpg", "http://127.0.0.1:22/a.jpg",
    "http://0x7f000001:{port}/a.jpg", "http://127.1:{port}/a.jpg", "http://[", "a" * 5000, "",
    "http://127.0.0.1:{port}/" + "a" * 5000,
)  # fmt: skip


@pytest.mark.parametrize("url", ELSEWHERE)
def test_urls_elsewhere_are_refused_before_a_connection(museum: FaultyMuseum, base: str, url: str) -> None:
    port = base.rpartition(":")[2]

    async def fetch(client: Client) -> None:
        await client.fetch(url.replace("{port}", port), "image")

    with pytest.raises(FetchError) as caught:
        run(base, fetch)
    assert caught.value.state == "refused"
    assert sum(museum.requested.values()) == 0


def test_an_endless_robots_txt_is_read_in_part(museum: FaultyMuseum, base: str) -> None:
    rules = b"User-agent: *\nDisallow: /private\n" + b"Disallow: /zz\n" * (ROBOTS_BYTES // 10)
    museum.always("/robots.txt", faults.body(rules, "text/plain"))
    assert fetch_json(base, "/a") == {"path": "/a"}
    with pytest.raises(FetchError, match="disallowed by robots"):
        fetch_json(base, "/private/a")


@pytest.mark.parametrize("path", ["/" + "a" * 2000, "/b"])
def test_rules_with_thousands_of_wildcards_end_soon(museum: FaultyMuseum, base: str, path: str) -> None:
    museum.always(
        "/robots.txt", faults.body(b"User-agent: *\nDisallow: /" + b"*a" * 5000 + b"$\n", "text/plain")
    )
    if path == "/b":
        assert fetch_json(base, path) == {"path": "/b"}
    else:
        with pytest.raises(FetchError, match="disallowed by robots"):
            fetch_json(base, path)


def test_shortened_rules_allow_nothing_more() -> None:
    text = "User-agent: *\nAllow: /a*b*c*d\nDisallow: /x**y*z*q # why\nDisallow: /p*q$\ncrawl-delay: 3"
    assert _bounded(text).split("\n") == [
        "User-agent: *",
        "Disallow: /x*y*",
        "Disallow: /p*q$",
        "crawl-delay: 3",
    ]


@pytest.mark.parametrize(
    "value", [-1, 0, 10**12, 1.5, None, True, "../3", "..", "1" * 13, "\u00b2", "\u0664", "3 ", ["3"]]
)
def test_what_is_no_object_number(value: object) -> None:
    assert not is_object_number(value)
    assert is_object_number(3)
    assert is_object_number("3")


@pytest.mark.parametrize("url", [5, ["http://museum.demo/a.jpg"], {"a": 1}, True])
def test_an_image_url_that_is_no_text_is_no_photograph(url: object) -> None:
    adapter, raw = met_record()
    raw |= {"primaryImage": url, "primaryImageSmall": url, "additionalImages": []}
    with pytest.raises(RecordError, match="no photograph"):
        adapter.read(raw, str(raw["objectID"]), "department:10", "web")


def test_a_traversal_in_a_url_becomes_no_file_name() -> None:
    adapter, raw = met_record()
    url = "http://museum.demo/CRDImages/../../../../etc/passwd%00\x001.jpg\ud800"
    raw |= {"primaryImage": url, "primaryImageSmall": url, "additionalImages": []}
    record: Record = adapter.read(raw, str(raw["objectID"]), "department:10", "web")
    (photograph,) = record.photographs
    assert httpx.URL(photograph.url).host == "museum.demo"
    assert "\0" not in photograph.url


def test_the_cache_and_the_ledger_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("heritage.collection.http.cache._LARGEST", 1000)
    monkeypatch.setattr("heritage.collection.ledger._LARGEST_RECORD", 1000)
    cache = RecordCache(tmp_path / "cache.sqlite", max_age_days=1)
    cache.put("a", b"x" * 1000)
    cache.put("b", b"x" * 1001)
    assert cache.get("a") == b"x" * 1000
    assert cache.get("b") is None
    cache._db.execute("UPDATE answers SET body = x'00'")
    assert cache.get("a") is None
    cache.close()
    assert unpacked(zlib.compress(b"x" * 1000)) == b"x" * 1000
    for damaged in (zlib.compress(b"x" * 1001), b"no zlib"):
        with pytest.raises(CollectionError, match="the ledger: a record is damaged"):
            unpacked(damaged)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (b"javascript:alert(1)", "javascript:alert.1. is not one of the source's hosts"),
        (b"data:text/html,x", "data:text/html,x is not one"),
        (b"mailto:a@b", "is not one of the source's hosts"),
        (b"file:///etc/passwd", "file:/etc/passwd is not one"),
        (b"//elsewhere.example/a", "elsewhere.example is not one"),
        (b"http://0177.0.0.1/", "not a valid URL"),
        (b"http://[::1", "not a valid URL"),
        (b"http://museum.example:99999/", "is not one|not a valid URL"),
        (b"/a\x01b", "not a valid URL"),
        (b"/" + b"a" * 50_000, "a URL of 50,001 characters"),
        (b"   ", "without a Location header"),
    ],
)
def test_no_redirect_ends_the_run(museum: FaultyMuseum, target: bytes, reason: str) -> None:
    def fault(_: Response) -> Response:
        async def write(writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + target + b"\r\n\r\n")
            await writer.drain()

        return Response(302, b"", raw=write)

    museum.always("/a", fault)
    with serve(museum) as base:
        with pytest.raises(FetchError, match=reason) as error:
            fetch_json(base, "/a")
        assert fetch_json(base, "/b") == {"path": "/b"}
    assert error.value.state == "refused"
    assert museum.requested["/a"] == 1


@pytest.mark.parametrize(
    ("delay", "interval"),
    [("3", 3.0), ("0", 0.0), ("-5", 0.0), ("nan", 0.0), ("inf", 0.0), ("x", 0.0), ("", 0.0)],
)
def test_a_crawl_delay_is_obeyed(museum: FaultyMuseum, delay: str, interval: float) -> None:
    text = f"User-agent: *\nCrawl-delay: {delay}\n".encode()
    museum.always("/robots.txt", faults.body(text, "text/plain"))

    async def do(client: Client) -> None:
        await client.json(f"{base}/a")
        assert [host.interval for host in client.hosts.values()] == [interval]

    with serve(museum) as base:
        run(base, do)


@pytest.mark.parametrize("delay", ["3601", "1000000", "1e300"])
def test_a_crawl_delay_without_an_end_ends_the_run(museum: FaultyMuseum, delay: str) -> None:
    text = f"User-agent: *\nCrawl-delay: {delay}\n".encode()
    museum.always("/robots.txt", faults.body(text, "text/plain"))
    with serve(museum) as base, pytest.raises(CollectionError, match="Crawl-delay"):
        fetch_json(base, "/a")


@pytest.mark.parametrize("header", ["ETag", "Last-Modified"])
def test_a_validator_that_cannot_be_sent_is_not_kept(
    museum: FaultyMuseum, tmp_path: Path, header: str
) -> None:
    big = jpeg(1) + bytes(3 * MEGABYTE)
    for value in ('"caf\u00e9"', '"' + "e" * 5000 + '"'):
        named = {header: value, "Content-Type": "image/jpeg"}
        whole = Response(200, big, named)
        museum.once("/p.jpg", functools.partial(instead, faults.truncated(2 * MEGABYTE)(whole)))
        museum.always("/p.jpg", functools.partial(instead, whole))
        body = PartBody(tmp_path / "1.part")

        async def do(client: Client, body: PartBody = body) -> None:
            await client.fetch(f"{base}/p.jpg", "image", body)

        with serve(museum) as base:
            run(base, do)
        assert body.in_memory() == big
    assert all("if-range" not in request.headers for request in museum.requests)
