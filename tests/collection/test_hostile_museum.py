"""A museum with one evil at a time: each run ends as it should, with bounded memory and a complete report."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from heritage.core.manifest import Manifest
from heritage.demo.museum import request_handler
from heritage.demo.server import Response, json_response, serve
from heritage.errors import HeritageError
from tests.collection.demo_collection import API, COLLECTION, objects_of
from tests.collection.faults import Fault, FaultyMuseum, body, endless, jpeg, status
from tests.collection.runs import met, printed, retry_policy, session

MEGABYTE = 1 << 20
RECORDS, IMAGES, LIST, ROBOTS = f"{API}/", "/images/", API, "/robots.txt"
PUBLISHED = "http://museum.demo/images/"


def record(**changes: Any) -> Fault:
    """Change the fields of each record."""
    return lambda response: parsed(json.dumps(json.loads(response.body) | changes).encode())(response)


def photograph(url: Any) -> Fault:
    return record(primaryImage=url, primaryImageSmall=url, additionalImages=[])


def text(content: bytes) -> Fault:
    return body(content, "text/plain")


def parsed(content: bytes) -> Fault:
    return body(content, "application/json")


def compressed(encoding: str, content: bytes) -> Fault:
    headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
    return lambda _: Response(200, content, headers)


def with_headers(name: str, value: str, number: int) -> Fault:
    """Send headers that a dictionary cannot hold."""

    def fault(response: Response) -> Response:
        async def write(writer: asyncio.StreamWriter) -> None:
            kind = response.headers.get("Content-Type", "text/plain")
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n".encode())
            writer.write(f"{name}: {value}\r\n".encode() * number)
            writer.write(b"Content-Length: %d\r\n\r\n" % len(response.body) + response.body)
            await writer.drain()

        return Response(200, b"", raw=write)

    return fault


MARK = (
    "<script>alert(1)</script>](javascript:alert(2)) | ![x](http://evil/x.png)\n# H1\n"
    "=cmd|'/C calc'!A0 \x1b[31m \u202e"
)
EVIL = ("<script", "](javascript", "![x]", "\x1b", "\u202e", "\n# H1")
BOMB = gzip.compress(bytes(100 * MEGABYTE), 1)
IDS = ["../../../..w/ESC", "..", -1, 10**40, 1.5, None, True]
NOT_A_HOST = "is not one of the source's hosts"

# Where the evil is, what it is, and what the error or the report says; "" if all photographs are stored.
MODES: dict[str, tuple[str, Fault, str]] = {
    "markup": (RECORDS, record(title=MARK, creditLine=MARK, culture=MARK, objectURL="javascript:1"), ""),
    "types": (RECORDS, record(title=5, objectURL={"a": 1}, tags="x"), " is dict, not text"),
    "idtrav": (
        LIST,
        lambda _: json_response({"total": 1, "objectIDs": IDS}),
        "7 objects refused: not an object id",
    ),
    "robots5xx": (ROBOTS, status(503), "robots.txt cannot be fetched: status 503"),
    "robotshuge": (ROBOTS, text(b"User-agent: *\nDisallow: /zz\n" + b"Disallow: /zz\n" * 50_000), ""),
    "robotsredos": (
        ROBOTS,
        text(b"User-agent: *\nDisallow: /" + b"*a" * 5000 + b"$\n"),
        "disallowed by robots.txt",
    ),
    "robotsdelay": (ROBOTS, text(b"User-agent: *\nCrawl-delay: 1000000\n"), "one request every 277.8 hours"),
    "robotsloop": (ROBOTS, status(302, Location="/robots.txt"), ""),
    "headerbomb": (LIST, with_headers("X-A", "y" * 1000, 2_000), "Receive buffer too long"),
    "cookies": (RECORDS, with_headers("Set-Cookie", "a=1", 500), ""),
    "nested": (RECORDS, parsed(b"[" * 100_000 + b"]" * 100_000), "not JSON (maximum recursion depth"),
    "nestedobj": (
        RECORDS,
        parsed(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
        "not JSON (maximum recursion depth",
    ),
    "bigint": (RECORDS, parsed(b'{"objectID": ' + b"9" * 100_000 + b"}"), "not JSON (Exceeds the limit"),
    "nan": (RECORDS, parsed(b'{"objectID": NaN, "isPublicDomain": Infinity}'), "the record is of object nan"),
    "surrogate": (RECORDS, record(title="\ud800", culture="\udfff Iranian"), ""),
    "gzipbomb": (RECORDS, compressed("gzip", BOMB), "the body is over the limit"),
    "gzipgzip": (RECORDS, compressed("gzip, gzip", gzip.compress(BOMB)), "'gzip, gzip' was not requested"),
    "redirloop": (RECORDS, status(302, Location="x"), "more than 5 redirects"),
    "redirssrf": (
        RECORDS,
        status(302, Location="http://169.254.169.254/latest"),
        f"169.254.169.254 {NOT_A_HOST}",
    ),
    "redirscript": (
        RECORDS,
        status(302, Location="javascript:alert(1)"),
        f"javascript:alert(1) {NOT_A_HOST}",
    ),
    "retryafter": (
        RECORDS,
        status(429, Retry_After="99999999999999"),
        "requests a pause of 27777777777.8 hours",
    ),
    "retrydate": (RECORDS, status(429, Retry_After="Fri, 31 Dec 9999 23:59:59 GMT"), "requests a pause of"),
    "retryneg": (RECORDS, status(429, Retry_After="-5"), "objects failed: status 429"),
    "ssrf10": (RECORDS, photograph("http://10.0.0.1/a.jpg"), f"10.0.0.1 {NOT_A_HOST}"),
    "decimal": (RECORDS, photograph("http://2130706433/a.jpg"), f"2130706433 {NOT_A_HOST}"),
    "mapped": (RECORDS, photograph("http://[::ffff:127.0.0.1]/a.jpg"), NOT_A_HOST),
    "metadata": (
        RECORDS,
        photograph("http://169.254.169.254/latest/meta-data/"),
        f"169.254.169.254 {NOT_A_HOST}",
    ),
    "file": (RECORDS, photograph("file:///etc/passwd"), NOT_A_HOST),
    "gopher": (RECORDS, photograph("gopher://127.0.0.1:22/"), NOT_A_HOST),
    "userinfo": (RECORDS, photograph("http://museum.demo@10.0.0.1/a.jpg"), f"10.0.0.1 {NOT_A_HOST}"),
    "port22": (RECORDS, photograph("http://museum.demo:22/images/a.jpg"), f"museum.demo:22 {NOT_A_HOST}"),
    "unicode": (RECORDS, photograph("http://mus\u00e9um.demo/a.jpg"), NOT_A_HOST),
    "traversal": (RECORDS, photograph(f"{PUBLISHED}../../../etc/secret%00"), "gone: status 404"),
    "nul": (RECORDS, photograph(f"{PUBLISHED}1\0.jpg"), "gone: status 404"),
    "number": (RECORDS, photograph(5), "refused: no photograph"),
    "listurl": (RECORDS, photograph([PUBLISHED]), "refused: no photograph"),
    "imgendless": (IMAGES, endless, "the body is over the limit"),
    "imgredirloop": (IMAGES, status(302, Location="x"), "more than 5 redirects"),
    "imgpoly": (
        IMAGES,
        lambda r: Response(200, jpeg(len(r.body)) + b"<script>", {"Content-Type": "text/html"}),
        "",
    ),
}


@pytest.fixture(autouse=True)
def memory() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.parametrize("mode", MODES)
def test_every_run_ends_and_reports_what_was_left_out(tmp_path: Path, mode: str) -> None:
    museum = FaultyMuseum(request_handler(COLLECTION))
    where, fault, reason = MODES[mode]
    museum.always(where, fault)
    policy = retry_policy(attempts=2, max_record_bytes=4 * MEGABYTE, max_image_bytes=4 * MEGABYTE)
    folder, ids = tmp_path / "collection", tmp_path / "ids.txt"
    ids.write_text("\n".join(objects_of("islam")[:3]))
    started = time.monotonic()
    with serve(museum) as base:
        run = session(
            met(base), folder, classes=["islam"], ids=None if where == LIST else ids, retry_policy=policy
        )
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        try:
            run.collect()
            printed_text = printed(run)
        except HeritageError as error:
            printed_text = str(error)
            assert "\n" not in printed_text
    assert tracemalloc.get_traced_memory()[1] - before < 40 * MEGABYTE
    assert time.monotonic() - started < 20
    assert reason in printed_text
    assert {path.name for path in tmp_path.iterdir()} == {"collection", "ids.txt"}
    assert not [path for path in museum.requested if "passwd" in path or "meta-data" in path]
    assert not [request for request in museum.requests if "cookie" in request.headers]
    if not reason:
        stored = Manifest.read(folder)
        assert len(stored) == 3
        assert set(stored.column("object_id")) <= set(objects_of("islam"))
        markdown = (folder / "ATTRIBUTION.md").read_text(encoding="utf-8")
        unescaped = markdown.replace("\\[", "").replace("\\]", "")
        assert not [part for part in EVIL if part in unescaped]
    else:
        assert not list((folder / "images").glob("*"))
