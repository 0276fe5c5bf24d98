"""A museum that misbehaves on demand, and pictures to serve."""

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
    """A small noisy JPEG; another seed is another picture."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 255, (9, 9, 3), dtype=np.uint8)
    return encode_jpeg(np.kron(coarse, np.ones((side // 9, side // 9, 1), dtype=np.uint8)))


@functools.cache
def png() -> bytes:
    """A noisy PNG."""
    written = io.BytesIO()
    Image.effect_noise((80, 80), 60).save(written, "PNG")
    return written.getvalue()


def tiny_renderer(class_name: str, index: int, view: int, size: int, seed: int) -> bytes:
    """Draw nothing in particular, quickly."""
    return jpeg(zlib.crc32(f"{class_name}/{index}/{view}/{seed}".encode()), 72)


def bomb_png(side: int = 30_000) -> bytes:
    """A PNG of 900 million pixels in a few kilobytes of its first rows."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(side + 1) * 100)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def status(code: int, body: bytes = b"", **headers: str) -> Fault:
    """Answer with a status; header names take underscores for dashes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: Response(code, body, named)


def body(data: bytes, kind: str = "image/jpeg") -> Fault:
    """Answer 200 with other content."""
    return lambda _: Response(200, data, {"Content-Type": kind})


def reset(_: Response) -> Response:
    """Cut the connection without a word."""

    async def write(writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    return Response(200, b"", raw=write)


def truncated(at: int) -> Fault:
    """Promise the whole body, send its beginning and close."""

    def fault(response: Response) -> Response:
        async def write(writer: asyncio.StreamWriter) -> None:
            writer.write(_head(response, len(response.body)) + response.body[:at])
            await writer.drain()

        return Response(response.status, b"", raw=write)

    return fault


def slow_drip(response: Response) -> Response:
    """Send a byte every tenth of a second: never silent, never done."""

    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(_head(response, len(response.body)))
        for byte in response.body:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.1)

    return Response(200, b"", raw=write)


def delayed(seconds: float) -> Fault:
    """Answer rightly, but not soon."""

    def fault(response: Response) -> Response:
        async def write(writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(seconds)
            writer.write(_head(response, len(response.body)) + response.body)
            await writer.drain()

        return Response(response.status, b"", raw=write)

    return fault


def endless(response: Response) -> Response:
    """Send a picture's beginning, then more and more, without a length."""

    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nConnection: close\r\n\r\n" + response.body
        )
        while True:
            writer.write(bytes(65_536))
            await writer.drain()

    return Response(200, b"", raw=write)


def changed_body(change: Callable[[bytes], bytes]) -> Fault:
    """Change the body and tell nobody."""
    return lambda response: replace(response, body=change(response.body))


def _head(response: Response, length: int) -> bytes:
    headers = {"Content-Length": str(length), **response.headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {response.status} OK\r\n{lines}\r\n".encode()


class FaultyMuseum:
    """Answers as another does, save where faults were ordered; keeps count of what it was asked.

    Attributes:
        asked: Requests by path, without those for robots.txt.
        requests: All requests in order.
        keep_requests: False where there will be too many.
    """

    def __init__(self, answer: Handler) -> None:
        self._answer = answer
        self._once: dict[str, list[Fault]] = defaultdict(list)
        self._always: dict[str, Fault] = {}
        self.requested: Counter[str] = Counter()
        self.requests: list[Request] = []
        self.keep_requests = True

    def once(self, path: str, *faults: Fault) -> None:
        """Answer the next requests for a path with these faults, one each."""
        self._once[path].extend(faults)

    def always(self, path: str, fault: Fault) -> None:
        """Answer every request for a path, or for all below ``path`` ending in a slash, with a fault."""
        self._always[path] = fault

    def __call__(self, request: Request) -> Response:
        if request.path != "/robots.txt":
            self.requested[request.path] += 1
        if self.keep_requests:
            self.requests.append(request)
        response = self._answer(request)
        if self._once[request.path]:
            return self._once[request.path].pop(0)(response)
        for path, fault in self._always.items():
            if request.path == path or (path.endswith("/") and request.path.startswith(path)):
                return fault(response)
        return response
