"""Slow, silent and excessive connections are closed."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Awaitable, Callable

import httpx
import pytest

from tests.server.clients import connect, raw
from tests.server.running import running


def test_huge_headers_are_refused(address: str) -> None:
    for headers in (b"X: " + b"a" * 200_000, b"".join(b"X%d: a\r\n" % k for k in range(20_000))):
        reply = raw(address, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + headers + b"\r\n\r\n")
        assert reply[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 431", b"")
    assert httpx.get(f"{address}/health").status_code == 200


def test_slow_uploads_and_silent_connections_time_out(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("heritage.server.protocol.HEADER_SECONDS", 1.0)
    head = (
        b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/jpeg\r\nContent-Length: 9\r\n\r\n"
    )
    began = time.monotonic()
    assert raw(address, head + b"12").startswith(b"HTTP/1.1 408")
    assert 1.5 < time.monotonic() - began < 6
    began = time.monotonic()
    assert raw(address, b"GET / HT") == b""
    assert time.monotonic() - began < 5


def test_later_headers_and_the_rest_of_a_refused_upload_time_out(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("heritage.server.protocol.HEADER_SECONDS", 1.0)
    accepted = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    refused = (
        b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\n"
        b"Content-Length: 1000000\r\n\r\n"
    )
    for head, status in ((accepted, b"200"), (refused, b"415")):
        with connect(address) as connection:
            connection.sendall(head)
            assert connection.recv(65_536)[9:12] == status
            began = time.monotonic()
            with pytest.raises(ConnectionError):  # noqa: PT012  a byte from time to time
                while time.monotonic() - began < 10:
                    connection.sendall(b"G")
                    time.sleep(0.2)
            assert time.monotonic() - began < 4


def test_a_client_that_does_not_read_is_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("heritage.server.protocol.WRITE_SECONDS", 0.5)
    length = 30_000_000
    lengths = [(b"content-length", str(length).encode())]

    async def app(scope: dict[str, object], receive: object, send: Callable[..., Awaitable[None]]) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": lengths})
            await send({"type": "http.response.body", "body": bytes(length)})

    with running(app) as address, connect(address) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        time.sleep(2)
        taken = 0
        with contextlib.suppress(ConnectionError):
            while chunk := connection.recv(1_000_000):
                taken += len(chunk)
        assert taken < length


def test_connections_are_limited() -> None:
    async def app(scope: object, receive: object, send: object) -> None:
        raise AssertionError("no request reaches it")

    with running(app, connections=5) as address:
        held = [connect(address) for _ in range(6)]
        time.sleep(0.3)
        assert raw(address, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").startswith(b"HTTP/1.1 503")
        for connection in held:
            connection.close()
