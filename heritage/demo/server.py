"""A small HTTP server on loopback, for museums that are made up."""

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
    """A request: its path is decoded, its header names are in lower case."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]


@dataclass(frozen=True)
class Reply:
    """An answer.

    Attributes:
        raw: Writes the answer itself, well-formed or not, and closes the connection.
    """

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    raw: Callable[[asyncio.StreamWriter], Awaitable[None]] | None = None


Answering = Callable[[Request], Reply]


def json_reply(value: Any, status: int = 200) -> Reply:
    """Answer with JSON."""
    body = json.dumps(value, ensure_ascii=False).encode()
    return Reply(status, body, {"Content-Type": "application/json; charset=UTF-8"})


def file_reply(request: Request, body: bytes, kind: str) -> Reply:
    """Answer with a file: 304 if it is known, 206 for a range of it, else all of it."""
    tag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
    headers = {"Content-Type": kind, "ETag": tag, "Accept-Ranges": "bytes"}
    if request.headers.get("if-none-match") == tag:
        return Reply(304, b"", {"ETag": tag})
    wanted = re.fullmatch(r"bytes=(\d+)-", request.headers.get("range", ""))
    if wanted and request.headers.get("if-range", tag) == tag:
        start = int(wanted[1])
        if start >= len(body):
            return Reply(416, b"", {"Content-Range": f"bytes */{len(body)}"})
        headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        return Reply(206, body[start:], headers)
    return Reply(200, body, headers)


@contextlib.contextmanager
def serve(answer: Answering, *, port: int = 0) -> Iterator[str]:
    """Serve from a thread of its own while the block runs.

    Args:
        answer: How it answers.
        port: Where on loopback; 0 takes a free one.

    Yields:
        Its base URL, ``http://127.0.0.1:40123``.
    """
    loop = asyncio.new_event_loop()
    started: list[asyncio.Server] = []

    async def start() -> None:
        handle = lambda r, w: _converse(r, w, answer)  # noqa: E731
        started.append(await asyncio.start_server(handle, "127.0.0.1", port))

    loop.run_until_complete(start())
    address = started[0].sockets[0].getsockname()
    thread = threading.Thread(target=loop.run_forever, name="demo-museum", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{address[1]}"
    finally:
        asyncio.run_coroutine_threadsafe(_close(started[0]), loop).result()
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


async def _converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answering) -> None:
    """Answer a connection's requests one after the other."""
    with contextlib.suppress(
        ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError
    ):
        while True:
            request = _parse(await reader.readuntil(b"\r\n\r\n"))
            reply = answer(request)
            if reply.raw is not None:
                await reply.raw(writer)
                break
            writer.write(_head(reply) + reply.body)
            await writer.drain()
    writer.close()


def _parse(head: bytes) -> Request:
    first, *lines = head.decode("latin-1").split("\r\n")
    target = urlsplit(first.split(" ")[1])
    pairs = (line.partition(":") for line in lines if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return Request(unquote(target.path), dict(parse_qsl(target.query)), headers)


def _head(reply: Reply) -> bytes:
    lines = [f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}"]
    headers = {"Content-Length": str(len(reply.body)), **reply.headers}
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
