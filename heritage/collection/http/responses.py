"""Telling a good answer from a wall, a page, an excuse and a farewell."""

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
_MAY_PASS = frozenset({408, 425, 429, 500, 502, 503, 504})
_OVERLOADED = frozenset({429, 503})
_WALL_STATUSES = frozenset({200, 202, 203, 206, 401, 403, 405})
_HTML_HEAD = re.compile(
    rb"^(?:\xef\xbb\xbf)?\s*(?:<!--.*?-->\s*)?<(?:!doctype html|html|head|body|script)", re.I | re.S
)
_MARKUP = re.compile(rb"^(?:\xef\xbb\xbf)?\s*<")
_SNIFFED = 512


class WallError(Exception):
    """A page for robots where data should be.

    Attributes:
        host: Whose wall it is.
        asked_at: When the request was made, on the limiter's clock.
    """

    def __init__(self, reason: str, host: HostLimiter, asked_at: float) -> None:
        super().__init__(reason)
        self.host = host
        self.asked_at = asked_at


@dataclass(frozen=True, slots=True)
class Response:
    """A good answer.

    Attributes:
        status: 200, 206 or 304.
        headers: With names in lower case.
        body: The bytes, where they were kept in memory.
        parsed: What JSON says.
    """

    status: int
    headers: httpx.Headers
    body: bytes
    parsed: Any = None


def redirect_of(response: httpx.Response) -> str | None:
    """Return where an answer redirects to, or None where it does not.

    Raises:
        FetchError: A redirect to nowhere.
    """
    if response.status_code not in _REDIRECTS:
        return None
    target = response.headers.get("location")
    if not target:
        raise FetchError("refused", f"status {response.status_code} without a place to go to")
    return str(target)


async def receive(
    response: httpx.Response, expected: Expected, body: Body, limit: int, host: HostLimiter, asked_at: float
) -> Response:
    """Read an answer into ``body`` and judge it.

    Raises:
        WallError: A bot wall.
        RetryError: An answer that may be better the next time.
        FetchError: An answer that will not.
    """
    status = response.status_code
    if status == HTTPStatus.NOT_MODIFIED:
        host.good(0)
        return Response(status, response.headers, b"")
    if status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
        head = await _head(response)
        _refuse_wall(response, head, expected, host, asked_at)
        raise _excuse(response, head, host, asked_at, body)
    declared = response.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise FetchError("refused", f"its body of {int(declared):,} bytes is over the limit of {limit:,}")
    head = b""
    body.begin(status, response.headers)
    async for chunk in response.aiter_bytes():
        # A page may come in small pieces: the first of them may hold nothing but its blank lines.
        if len(head) < _SNIFFED:
            head += chunk[:_SNIFFED]
            _refuse_wall(response, head, expected, host, asked_at)
        body.write(chunk)
        if body.size > limit:
            body.discard()
            raise FetchError("refused", f"its body is over the limit of {limit:,} bytes")
    if not head and expected != "text":
        raise RetryError("an empty body")
    parsed = _json(body.in_memory()) if expected == "json" else None
    host.good(body.size)
    return Response(status, response.headers, body.in_memory() if expected != "image" else b"", parsed)


async def _head(response: httpx.Response) -> bytes:
    """Read enough of a bad answer to know it by; the rest of it may be endless."""
    head = b""
    async for chunk in response.aiter_bytes(_SNIFFED):
        head += chunk
        if len(head) >= _SNIFFED:
            break
    return head


def _refuse_wall(
    response: httpx.Response, head: bytes, expected: Expected, host: HostLimiter, asked_at: float
) -> None:
    if expected == "text" or response.status_code not in _WALL_STATUSES:
        return
    said_to_be = response.headers.get("content-type", "").lower()
    # Pages that begin as none should; neither JSON nor a photograph begins so.
    markup = "html" in said_to_be and expected != "xml" and _MARKUP.match(head)
    if markup or _HTML_HEAD.match(head[:_SNIFFED]):
        wanted = "a photograph" if expected == "image" else expected.upper()
        raise WallError(f"a page (status {response.status_code}) in place of {wanted}", host, asked_at)


def _excuse(
    response: httpx.Response, head: bytes, host: HostLimiter, asked_at: float, body: Body
) -> Exception:
    status = response.status_code
    if status in _MAY_PASS:
        after = retry_after(response.headers.get("retry-after"))
        return RetryError(f"status {status}", after=after, overloaded=status in _OVERLOADED)
    if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        body.discard()  # what was kept of it is not a beginning of what is there now
        return RetryError(f"status {status}")
    said = _message(head)
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        return FetchError("gone", f"status {status}{said}")
    if status in (HTTPStatus.FORBIDDEN, HTTPStatus.UNAUTHORIZED):
        host.refusal(asked_at)
    return FetchError("refused", f"status {status}{said}")


def retry_after(value: str | None) -> float | None:
    """Read a Retry-After header: seconds or a date (RFC 9110, 10.2.3); None where it says neither."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, moment.timestamp() - time.time())


def _message(head: bytes) -> str:
    try:
        said = json.loads(head)
    except (ValueError, RecursionError):
        return ""
    text = said.get("message") if isinstance(said, dict) else said
    return f" ({text})" if isinstance(text, str) else ""


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RetryError(f"not JSON ({error})") from error
