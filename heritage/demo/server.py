"""A small HTTP server on loopback for the demo museum and tests."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit


@dataclass(frozen=True)
class Request:
    """A request; the path is decoded and header names are in lower case."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]


@dataclass(frozen=True)
class Response:
    """A response.

    Attributes:
        status: HTTP status.
        body: The content.
        headers: Further headers.
        raw: Replaces the response: writes arbitrary bytes, after which the connection is closed.
    """

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    raw: Callable[[asyncio.StreamWriter], Awaitable[None]] | None = None


Handler = Callable[[Request], Response]


def json_response(value: Any, status: int = 200) -> Response:
    """Return a JSON response."""
    body = json.dumps(value, ensure_ascii=False).encode()
    return Response(status, body, {"Content-Type": "application/json; charset=UTF-8"})


def file_response(request: Request, body: bytes, kind: str) -> Response:
    """Return a file: 304 if the client has it, 206 for a range, else 200."""
    tag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
    headers = {"Content-Type": kind, "ETag": tag, "Accept-Ranges": "bytes"}
    if request.headers.get("if-none-match") == tag:
        return Response(304, b"", {"ETag": tag})
    requested = re.fullmatch(r"bytes=([0-9]{1,18})-", request.headers.get("range", ""))
    if requested and request.headers.get("if-range", tag) == tag:
        start = int(requested[1])
        if start >= len(body):
            return Response(416, b"", {"Content-Range": f"bytes */{len(body)}"})
        headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        return Response(206, body[start:], headers)
    return Response(200, body, headers)


@contextlib.contextmanager
def serve(handler: Handler, *, port: int = 0) -> Iterator[str]:
    """Run a server in a thread while the block runs.

    Args:
        handler: Returns the response to a request.
        port: Port on loopback; 0 for a free one.

    Yields:
        The base URL, ``http://127.0.0.1:40123``.
    """
    loop = asyncio.new_event_loop()
    started: list[asyncio.Server] = []

    async def start() -> None:
        connected = lambda r, w: _handle_connection(r, w, handler)  # noqa: E731
        started.append(await asyncio.start_server(connected, "127.0.0.1", port))

    thread = threading.Thread(target=loop.run_forever, name="demo-museum", daemon=True)
    thread.start()
    try:
        # In the thread, as a notebook's own loop is running in this one.
        asyncio.run_coroutine_threadsafe(start(), loop).result()
        address = started[0].sockets[0].getsockname()
        yield f"http://127.0.0.1:{address[1]}"
    finally:
        for server in started:
            asyncio.run_coroutine_threadsafe(_close(server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _close(server: asyncio.Server) -> None:
    server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await server.wait_closed()


async def _handle_connection(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handler: Handler
) -> None:
    """Handle the requests of a connection one after the other."""
    with contextlib.suppress(
        ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError
    ):
        while True:
            request = _parse(await reader.readuntil(b"\r\n\r\n"))
            response = handler(request)
            if response.raw is not None:
                await response.raw(writer)
                break
            writer.write(_head(response) + response.body)
            await writer.drain()
    writer.close()


def _parse(head: bytes) -> Request:
    first, *lines = head.decode("latin-1").split("\r\n")
    target = urlsplit(first.split(" ")[1])
    pairs = (line.partition(":") for line in lines if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return Request(unquote(target.path), dict(parse_qsl(target.query)), headers)


def _head(response: Response) -> bytes:
    lines = [f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}"]
    headers = {"Content-Length": str(len(response.body)), **response.headers}
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
