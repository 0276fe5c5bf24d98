"""Fetch from a server with faults through the client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from heritage.collection.http.client import Client
from heritage.collection.http.settings import Endpoint
from heritage.demo.server import Request, Response, file_response, json_response
from tests.collection.faults import jpeg
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
