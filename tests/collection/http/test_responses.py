"""Responses are classified as data, bot walls, temporary or permanent errors."""

from __future__ import annotations

import asyncio
import email.utils
import time

import pytest

from heritage.collection.http.client import Client
from heritage.collection.http.errors import FetchError
from heritage.collection.http.responses import retry_after
from heritage.demo.server import Response
from tests.collection import faults
from tests.collection.faults import HTML, WALL, FaultyMuseum, jpeg
from tests.collection.http.fetching import fetch_image, fetch_json, run

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
