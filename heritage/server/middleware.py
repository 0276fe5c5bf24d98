"""What stands before every request: whose it is, how many it has sent, and the headers of every reply."""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from collections.abc import Collection

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from heritage.server.metrics import Metrics
from heritage.server.schemas import ErrorResponse, Fault, RequestRefused

HEADERS: dict[str, str] = {
    # own files alone; pictures may also come from the page itself (a person's upload, a saliency map)
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' blob: data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-store",
}

_PORT = re.compile(r":\d*$")
_ADDRESSES = 10_000  # remembered at a time


class RateLimit:
    """So many requests a minute of each address: a bucket that refills steadily.

    Args:
        per_minute: Its size, and how much comes in a minute; None lets everything through.
    """

    def __init__(self, per_minute: int | None) -> None:
        self._per_minute = per_minute
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, address: str, now: float) -> None:
        """Count a request.

        Raises:
            Refusal: It is one too many: 429.
        """
        if self._per_minute is None:
            return
        level, then = self._buckets.pop(address, (float(self._per_minute), now))
        level = min(self._per_minute, level + (now - then) * self._per_minute / 60)
        self._buckets[address] = (max(level - 1, 0) if level >= 1 else level, now)
        if len(self._buckets) > _ADDRESSES:
            self._buckets.popitem(last=False)
        if level < 1:
            wait = int((1 - level) * 60 / self._per_minute) + 1
            raise RequestRefused(
                429, "too_many_requests", "Too many requests. Wait a moment.", retry_after=wait
            )


class SecurityMiddleware:
    """An ASGI application around another.

    Args:
        app: The application.
        hosts: Names under which the server may be asked (a page of another site that resolves its own name
            to this machine is turned away); None allows all.
        rate: Counts requests of addresses.
        metrics: Counts requests.
        paths: Paths that metrics name; others count as "other".
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: Collection[str] | None,
        rate: RateLimit,
        metrics: Metrics,
        paths: Collection[str],
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._rate = rate
        self._metrics = metrics
        self._paths = frozenset(paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def reply(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                given = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *((n.encode(), v.encode()) for n, v in HEADERS.items() if n.encode() not in given),
                ]
            await send(message)

        try:
            self._admit(scope)
            await self._app(scope, receive, reply)
        except RequestRefused as refusal:
            await refusal_reply(refusal)(scope, receive, reply)
        finally:
            path = scope["path"] if scope["path"] in self._paths else "other"
            self._metrics.requests.labels(path, str(status)).inc()
            self._metrics.seconds.labels(path).observe(time.perf_counter() - began)

    def _admit(self, scope: Scope) -> None:
        headers = {name.lower(): value for name, value in scope["headers"]}
        if self._hosts is not None:
            host = _PORT.sub("", headers.get(b"host", b"").decode("latin-1").lower())
            if host not in self._hosts:
                raise RequestRefused(403, "wrong_host", "This server does not answer under that name.")
        if headers.get(b"sec-fetch-site") == b"cross-site" and scope["method"] != "GET":
            raise RequestRefused(403, "cross_site", "Pages of other sites may not ask this server.")
        if scope["method"] == "POST":
            client = scope.get("client")
            self._rate.take(client[0] if client else "", time.monotonic())


def refusal_reply(refusal: RequestRefused) -> JSONResponse:
    """Return a refusal as JSON.

    The connection stays open: who is still sending would find it reset and never read why. What is left of an
    upload is thrown away as it comes, for some seconds (`heritage.server.protocol`).
    """
    headers = {} if refusal.retry_after is None else {"retry-after": str(refusal.retry_after)}
    body = ErrorResponse(error=Fault(code=refusal.code, message=refusal.message)).model_dump()
    return JSONResponse(body, status_code=refusal.status, headers=headers)
