"""A museum with faults on demand, and images to serve."""

from __future__ import annotations

import asyncio
import functools
import io
import struct
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from PIL import Image

from heritage.core.image_io import encode_jpeg
from heritage.demo.server import Handler, Request, Response

Fault = Callable[[Response], Response]

WALL = (
    b'<html style="height:100%"><head><META NAME="ROBOTS" CONTENT="NOINDEX, NOFOLLOW"></head>'
    b'<body><iframe src="/_Incapsula_Resource?CWUDNSAI=20"></iframe></body></html>'
)
HTML = {"Content-Type": "text/html"}


@functools.cache
def jpeg(seed: int, side: int = 72) -> bytes:
    """Return a small noisy JPEG, different for each seed."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 255, (9, 9, 3), dtype=np.uint8)
    return encode_jpeg(np.kron(coarse, np.ones((side // 9, side // 9, 1), dtype=np.uint8)))


@functools.cache
def png() -> bytes:
    """Return a noisy PNG."""
    written = io.BytesIO()
    Image.effect_noise((80, 80), 60).save(written, "PNG")
    return written.getvalue()


def tiny_renderer(class_name: str, index: int, view: int, size: int, seed: int) -> bytes:
    """Render a random image quickly."""
    return jpeg(zlib.crc32(f"{class_name}/{index}/{view}/{seed}".encode()), 72)


def bomb_png(side: int = 30_000) -> bytes:
    """Return a PNG of 900 million pixels that has a few kilobytes of its first rows."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(side + 1) * 100)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def status(code: int, body: bytes = b"", **headers: str) -> Fault:
    """Respond with a status; header names have underscores instead of dashes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: Response(code, body, named)


def body(data: bytes, kind: str = "image/jpeg") -> Fault:
    """Respond with status 200 and other content."""
    return lambda _: Response(200, data, {"Content-Type": kind})


def reset(_: Response) -> Response:
    """Reset the connection."""

    async def write(writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    return Response(200, b"", raw=write)


def truncated(at: int) -> Fault:
    """Announce the whole body, send its beginning and close the connection."""

    def fault(response: Response) -> Response:
        async def write(writer: asyncio.StreamWriter) -> None:
            writer.write(_head(response, len(response.body)) + response.body[:at])
            await writer.drain()

        return Response(response.status, b"", raw=write)

    return fault


def slow_drip(response: Response) -> Response:
    """Send a byte every tenth of a second."""

    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(_head(response, len(response.body)))
        for byte in response.body:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.1)

    return Response(200, b"", raw=write)


def delayed(seconds: float) -> Fault:
    """Send the correct response after a delay."""

    def fault(response: Response) -> Response:
        async def write(writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(seconds)
            writer.write(_head(response, len(response.body)) + response.body)
            await writer.drain()

        return Response(response.status, b"", raw=write)

    return fault


def endless(response: Response) -> Response:
    """Send an image without a Content-Length, followed by endless zeros."""

    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nConnection: close\r\n\r\n" + response.body
        )
        while True:
            writer.write(bytes(65_536))
            await writer.drain()

    return Response(200, b"", raw=write)


def changed_body(change: Callable[[bytes], bytes]) -> Fault:
    """Change the body but not the headers."""
    return lambda response: replace(response, body=change(response.body))


def _head(response: Response, length: int) -> bytes:
    headers = {"Content-Length": str(length), **response.headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {response.status} OK\r\n{lines}\r\n".encode()


class FaultyMuseum:
    """Wraps a request handler, replaces responses by faults and counts requests.

    Attributes:
        requested: Number of requests by path, without robots.txt.
        requests: All requests in order.
        keep_requests: Whether to keep all requests in memory.
    """

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._once: dict[str, list[Fault]] = defaultdict(list)
        self._always: dict[str, Fault] = {}
        self.requested: Counter[str] = Counter()
        self.requests: list[Request] = []
        self.keep_requests = True

    def once(self, path: str, *faults: Fault) -> None:
        """Apply these faults to the next requests for a path, one each."""
        self._once[path].extend(faults)

    def always(self, path: str, fault: Fault) -> None:
        """Apply a fault to every request for a path, or below it if it ends in a slash."""
        self._always[path] = fault

    def __call__(self, request: Request) -> Response:
        if request.path != "/robots.txt":
            self.requested[request.path] += 1
        if self.keep_requests:
            self.requests.append(request)
        response = self._handler(request)
        if self._once[request.path]:
            return self._once[request.path].pop(0)(response)
        for path, fault in self._always.items():
            if request.path == path or (path.endswith("/") and request.path.startswith(path)):
                return fault(response)
        return response
