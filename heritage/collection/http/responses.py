"""Classify a response: data, bot wall, temporary error or permanent error."""

from __future__ import annotations

import email.utils
import json
import re
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal

import httpx

from heritage.collection.http.body import Body
from heritage.collection.http.decoding import decoded
from heritage.collection.http.errors import FetchError, RetryError
from heritage.collection.http.limiter import HostLimiter

Expected = Literal["json", "xml", "image", "text"]

ACCEPT: dict[Expected, str] = {
    "json": "application/json",
    "xml": "application/xml, text/xml",
    "image": "image/*",
    "text": "text/plain",
}

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_RETRYABLE = frozenset({408, 425, 429, 500, 502, 503, 504})
_OVERLOADED = frozenset({429, 503})
_WALL_STATUSES = frozenset({200, 202, 203, 206, 401, 403, 405})
_HTML_HEAD = re.compile(
    rb"^(?:\xef\xbb\xbf)?\s*(?:<!--.*?-->\s*)?<(?:!doctype html|html|head|body|script)", re.I | re.S
)
_MARKUP = re.compile(rb"^(?:\xef\xbb\xbf)?\s*<")
_NUMBER = re.compile(r"[0-9]{1,18}")
_SNIFFED = 512  # bytes at the beginning of a response that are inspected


class WallError(Exception):
    """The host returned a page for robots instead of data.

    Attributes:
        host: The host's limiter.
        sent_at: When the request was sent, on the limiter's clock.
        expected: The type of content requested.
    """

    def __init__(self, reason: str, host: HostLimiter, sent_at: float, expected: Expected) -> None:
        super().__init__(reason)
        self.host = host
        self.sent_at = sent_at
        self.expected = expected


@dataclass(frozen=True, slots=True)
class Response:
    """A successful response.

    Attributes:
        status: 200, 206 or 304.
        headers: Names in lower case.
        body: The bytes, if they are in memory; empty for images.
        parsed: The parsed JSON.
    """

    status: int
    headers: httpx.Headers
    body: bytes
    parsed: Any = None


def redirect_of(response: httpx.Response) -> str | None:
    """Return the target of a redirect, or None if the response is not one.

    Raises:
        FetchError: The redirect has no target.
    """
    if response.status_code not in _REDIRECTS:
        return None
    target = response.extensions.get("location", "").strip()
    if not target:
        raise FetchError("refused", f"status {response.status_code} without a Location header")
    return str(target)


async def receive(
    response: httpx.Response, expected: Expected, body: Body, limit: int, host: HostLimiter, sent_at: float
) -> Response:
    """Read a response into ``body`` and classify it.

    Args:
        response: The open response.
        expected: The type of content requested.
        body: Receives the bytes.
        limit: Maximum size in bytes.
        host: The host's limiter, which counts successes and refusals.
        sent_at: When the request was sent, on the limiter's clock.

    Raises:
        WallError: A bot wall.
        RetryError: A temporary error.
        FetchError: A permanent error.
    """
    status = response.status_code
    if status == HTTPStatus.NOT_MODIFIED:
        host.record_success(0, sent_at, expected)
        return Response(status, response.headers, b"")
    if status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
        head = await _head(response)
        _raise_for_wall(response, head, expected, host, sent_at)
        raise _error_for(response, head, host, sent_at, expected, body)
    declared = response.headers.get("content-length", "")
    if expected != "text" and _NUMBER.fullmatch(declared) and int(declared) > limit:
        raise FetchError("refused", f"a body of {int(declared):,} bytes is over the limit of {limit:,}")
    head = b""
    body.begin(status, response.headers)
    async for chunk in decoded(response):
        # A page may arrive in small chunks, the first of which may hold nothing but blank lines.
        if len(head) < _SNIFFED:
            head += chunk[:_SNIFFED]
            _raise_for_wall(response, head, expected, host, sent_at)
        body.write(chunk)
        if body.size > limit and expected == "text":
            break  # the rest of a robots.txt is ignored, as RFC 9309 allows (section 2.5)
        if body.size > limit:
            body.discard()
            raise FetchError("refused", f"the body is over the limit of {limit:,} bytes")
    if not head and expected != "text":
        raise RetryError("an empty body")
    parsed = _json(body.in_memory()) if expected == "json" else None
    host.record_success(body.size, sent_at, expected)
    return Response(status, response.headers, body.in_memory() if expected != "image" else b"", parsed)


async def _head(response: httpx.Response) -> bytes:
    """Read the beginning of an error response; the rest may be endless."""
    head = b""
    async for chunk in decoded(response):
        head += chunk
        if len(head) >= _SNIFFED:
            break
    return head


def _raise_for_wall(
    response: httpx.Response, head: bytes, expected: Expected, host: HostLimiter, sent_at: float
) -> None:
    if expected == "text" or response.status_code not in _WALL_STATUSES:
        return
    content_type = response.headers.get("content-type", "").lower()
    # Neither JSON nor a photograph begins with markup.
    markup = "html" in content_type and expected != "xml" and _MARKUP.match(head)
    if markup or _HTML_HEAD.match(head[:_SNIFFED]):
        name = "a photograph" if expected == "image" else expected.upper()
        raise WallError(f"a page (status {response.status_code}) instead of {name}", host, sent_at, expected)


def _error_for(
    response: httpx.Response, head: bytes, host: HostLimiter, sent_at: float, expected: Expected, body: Body
) -> Exception:
    status = response.status_code
    if status in _RETRYABLE:
        after = retry_after(response.headers.get("retry-after"))
        return RetryError(f"status {status}", after=after, overloaded=status in _OVERLOADED)
    if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        body.discard()  # the part is not a prefix of the current file
        return RetryError(f"status {status}")
    message = _message(head)
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        return FetchError("gone", f"status {status}{message}")
    if status in (HTTPStatus.FORBIDDEN, HTTPStatus.UNAUTHORIZED):
        host.record_refusal(sent_at, expected)
    return FetchError("refused", f"status {status}{message}")


def retry_after(value: str | None) -> float | None:
    """Return the seconds of a Retry-After header (a number or a date; RFC 9110, 10.2.3), or None."""
    if value is None:
        return None
    if _NUMBER.fullmatch(value.strip()):
        return float(value)
    try:
        moment = email.utils.parsedate_to_datetime(value)
        return max(0.0, moment.timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _message(head: bytes) -> str:
    try:
        content = json.loads(head)
    except (ValueError, RecursionError):
        return ""
    text = content.get("message") if isinstance(content, dict) else content
    return f" ({text})" if isinstance(text, str) else ""


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RetryError(f"not JSON ({error})") from error
