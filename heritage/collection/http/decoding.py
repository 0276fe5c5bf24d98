"""Decode the bodies of responses: one content encoding at most, in pieces that the caller can count."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from http import HTTPStatus

import httpx

from heritage.collection.http.errors import FetchError, RetryError
from heritage.core.bounded_read import Inflater

ACCEPT_ENCODING = "gzip"
_ENCODINGS = {"gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate"}


async def decoded(response: httpx.Response) -> AsyncIterator[bytes]:
    """Yield the decoded body of an open response in pieces of 64 kB at most.

    httpx decodes a whole chunk at once and as many encodings as a response names: 17 kB of doubled gzip
    become gigabytes before anyone can count them.

    Raises:
        FetchError: The response has another content encoding, or several.
        RetryError: The compressed data are damaged or cut short.
    """
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding in ("", "identity"):
        async for chunk in response.aiter_raw():
            yield chunk
        return
    if encoding not in _ENCODINGS or response.status_code == HTTPStatus.PARTIAL_CONTENT:
        raise FetchError("refused", f"the content encoding '{encoding[:40]}' was not requested")
    inflater = Inflater(_ENCODINGS[encoding])
    try:
        async for chunk in response.aiter_raw():
            for piece in inflater.decode(chunk):
                yield piece
    except zlib.error as error:
        raise RetryError(f"damaged {encoding} ({error})") from error
    if not inflater.complete:
        raise RetryError(f"the {encoding} data are cut short")
