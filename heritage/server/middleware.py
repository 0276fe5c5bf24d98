"""ASGI middleware: allowed hosts, cross-site requests, rate limit, security headers and request metrics."""

from __future__ import annotations

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import Collection, Mapping

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from heritage.server.metrics import Metrics
from heritage.server.schemas import ErrorDetail, ErrorResponse, RequestRefused

HEADERS: dict[str, str] = {
    # only our own files; images may also come from the page itself (an upload, a saliency map)
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
_ABSOLUTE = re.compile(r"https?://([^/?#]*)", re.IGNORECASE)
_ADDRESSES = 10_000  # client addresses remembered at a time


class RateLimit:
    """A token bucket for each client address.

    Args:
        per_minute: Capacity of a bucket and tokens added per minute; None is unlimited.
    """

    def __init__(self, per_minute: int | None) -> None:
        self._per_minute = per_minute
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, address: str, now: float) -> None:
        """Take a token.

        Args:
            address: The client's address.
            now: The time in seconds.

        Raises:
            RequestRefused: The bucket is empty: 429.
        """
        if self._per_minute is None:
            return
        tokens, then = self._buckets.pop(address, (float(self._per_minute), now))
        tokens = min(self._per_minute, tokens + (now - then) * self._per_minute / 60)
        self._buckets[address] = (max(tokens - 1, 0) if tokens >= 1 else tokens, now)
        if len(self._buckets) > _ADDRESSES:
            self._buckets.popitem(last=False)
        if tokens < 1:
            wait = int((1 - tokens) * 60 / self._per_minute) + 1
            raise RequestRefused(
                429, "too_many_requests", "Too many requests. Try again in a moment.", retry_after=wait
            )


class SecurityMiddleware:
    """Refuses requests before they reach the application, and completes the headers of responses.

    Args:
        app: The application.
        hosts: Accepted values of the Host header (protects from DNS rebinding); None accepts all.
        names: Host names in an Origin header that are this server's, beside the Host header itself.
        rate_limit: Limits the POST requests of an address.
        metrics: Counts requests.
        paths: Paths that metrics name; all others are counted as "other".
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: Collection[str] | None,
        names: Collection[str] = (),
        rate_limit: RateLimit,
        metrics: Metrics,
        paths: Collection[str],
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._names = frozenset(names)
        self._rate_limit = rate_limit
        self._metrics = metrics
        self._paths = frozenset(paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle an ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status, started = time.perf_counter(), 500, False

        async def send_with_headers(message: Message) -> None:
            nonlocal started, status
            if message["type"] == "http.response.start":
                started = True
                status = message["status"]
                present = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *((n.encode(), v.encode()) for n, v in HEADERS.items() if n.encode() not in present),
                ]
            await send(message)

        scope = _in_origin_form(scope)
        try:
            self._check(scope)
            await self._app(scope, receive, send_with_headers)
        except RequestRefused as refusal:
            await error_response(refusal)(scope, receive, send_with_headers)
        except asyncio.CancelledError:
            # The server is stopping and has waited long enough, for an upload for example.
            if not started:
                await error_response(_stopping())(scope, receive, send_with_headers)
        finally:
            path = scope["path"] if scope["path"] in self._paths else "other"
            self._metrics.requests.labels(path, str(status)).inc()
            self._metrics.seconds.labels(path).observe(time.perf_counter() - began)

    def _check(self, scope: Scope) -> None:
        headers = {name.lower(): value for name, value in scope["headers"]}
        if self._hosts is not None:
            host = _PORT.sub("", headers.get(b"host", b"").decode("latin-1").lower())
            if host not in self._hosts:
                raise RequestRefused(403, "wrong_host", "This server does not accept this host name.")
        if scope["method"] not in ("GET", "HEAD") and self._is_of_another_site(headers):
            raise RequestRefused(403, "cross_site", "Requests from pages of other sites are not allowed.")
        if scope["method"] == "POST":
            client = scope.get("client")
            self._rate_limit.take(client[0] if client else "", time.monotonic())

    def _is_of_another_site(self, headers: Mapping[bytes, bytes]) -> bool:
        """Return whether a page of another site sends a request; only browsers send an origin."""
        if headers.get(b"sec-fetch-site") == b"cross-site":
            return True
        origin = headers.get(b"origin")
        if origin is None:
            return False
        place = origin.decode("latin-1").lower().partition("://")[2]  # empty for "null"
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if _without_default_port(place) == _without_default_port(host):
            return False
        return _PORT.sub("", place) not in self._names


def _in_origin_form(scope: Scope) -> Scope:
    """Return a request whose target is a path: a server must also take whole URLs (RFC 9112, 3.2.2).

    The host of such a URL replaces the Host header, so it is checked instead.
    """
    found = _ABSOLUTE.match(scope["path"])
    if found is None:
        return scope
    headers = [(name, value) for name, value in scope["headers"] if name.lower() != b"host"]
    raw = _ABSOLUTE.sub("", scope.get("raw_path", b"").decode("latin-1"), count=1)
    return {
        **scope,
        "path": scope["path"][found.end() :] or "/",
        "raw_path": (raw or "/").encode("latin-1"),
        "headers": [*headers, (b"host", found[1].encode("latin-1", "replace"))],
    }


def _without_default_port(place: str) -> str:
    return place.removesuffix(":80").removesuffix(":443")


def _stopping() -> RequestRefused:
    return RequestRefused(503, "stopping", "The server is stopping.", retry_after=30)


def error_response(refusal: RequestRefused) -> JSONResponse:
    """Return the JSON response of a refused request.

    The connection stays open: a client that is still sending would find it reset and never read the error.
    The rest of the upload is discarded as it arrives, for a few seconds (`heritage.server.protocol`).
    """
    headers = {} if refusal.retry_after is None else {"retry-after": str(refusal.retry_after)}
    body = ErrorResponse(error=ErrorDetail(code=refusal.code, message=refusal.message)).model_dump()
    return JSONResponse(body, status_code=refusal.status, headers=headers)
