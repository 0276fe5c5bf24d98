"""The pictures of a request, read within bounds and kept in memory: nothing is ever written to disk."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

from python_multipart.exceptions import MultipartParseError
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from heritage.serving.limits import MEGABYTE, Limits
from heritage.serving.refusal import Refusal, busy

_LONGEST_NAME = 120
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class Upload:
    """A picture as it came: what its sender calls it, and its bytes."""

    name: str
    data: bytes


class Memory:
    """How many bytes of uploads may be held at a time.

    Args:
        limit: In bytes.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0

    def take(self, size: int) -> None:
        """Count bytes in.

        Raises:
            Refusal: That would be too many: 503.
        """
        if self.held + size > self.limit:
            raise busy()
        self.held += size

    def give_back(self, size: int) -> None:
        """Count bytes out."""
        self.held -= size


class _InMemoryParser(MultiPartParser):
    """Starlette's parser of forms, which would write files of more than a megabyte to disk."""

    spool_max_size = 2**40


@contextlib.asynccontextmanager
async def uploads(request: Request, limits: Limits, memory: Memory) -> AsyncIterator[list[Upload]]:
    """Read the pictures of a request: those of a form, or the body itself.

    Args:
        request: ``multipart/form-data`` with pictures in any fields, or a picture as the body.
        limits: What is accepted.
        memory: Holds the count of bytes until the block ends.

    Raises:
        Refusal: 400 no or a broken form, 408 too slow, 413 too large or too many, 415 neither form nor
            picture, 503 too many bytes are held already.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data" and not kind.startswith("image/") and kind != "application/octet-stream":
        raise Refusal(
            415, "unsupported_media_type", "Send pictures as multipart/form-data, or one as image/*."
        )
    limit = int(limits.megabytes * MEGABYTE)
    _refuse_announced(request.headers, limit)
    body = bytearray()
    try:
        try:
            async with asyncio.timeout(limits.upload_seconds):
                async for chunk in request.stream():
                    memory.take(len(chunk))
                    body += chunk
                    if len(body) > limit:
                        raise _too_large(limit)
        except TimeoutError as error:
            raise Refusal(
                408, "too_slow", f"The upload took longer than {limits.upload_seconds:g} seconds."
            ) from error
        if kind != "multipart/form-data":
            found = [Upload("picture", bytes(body))]
        else:
            found = await _parts(request.headers, bytes(body), limits)
        if not found or not any(upload.data for upload in found):
            raise Refusal(400, "no_picture", "The request holds no picture.")
        yield found
    finally:
        memory.give_back(len(body))


def _refuse_announced(headers: Headers, limit: int) -> None:
    announced = headers.get("content-length")
    if announced is not None and announced.isdecimal() and int(announced) > limit:
        raise _too_large(limit)


def _too_large(limit: int) -> Refusal:
    return Refusal(413, "too_large", f"A request may have {limit / MEGABYTE:g} MB.")


async def _parts(headers: Headers, body: bytes, limits: Limits) -> list[Upload]:
    async def once() -> AsyncIterator[bytes]:
        yield body
        yield b""

    # one more than is accepted, so that we say ourselves that they are too many
    parser = _InMemoryParser(headers, once(), max_files=limits.pictures + 1, max_fields=10)  # type: ignore[arg-type]
    try:
        form = await parser.parse()
    except MultiPartException as error:
        if "files" in error.message.lower():
            raise _too_many(limits) from error
        raise Refusal(400, "bad_form", "The form cannot be read.") from error
    except (MultipartParseError, ValueError, KeyError) as error:  # what odd headers of parts lead to
        raise Refusal(400, "bad_form", "The form cannot be read.") from error
    async with contextlib.AsyncExitStack() as stack:
        files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
        for file in files:
            stack.push_async_callback(file.close)
        if len(files) > limits.pictures:
            raise _too_many(limits)
        return [Upload(shown_name(file.filename), await file.read()) for file in files]


def _too_many(limits: Limits) -> Refusal:
    return Refusal(413, "too_many", f"A request may have {limits.pictures} pictures.")


def shown_name(name: str | None) -> str:
    """Return what to call a picture: its file name without folders, control and direction characters."""
    last = (name or "").replace("\\", "/").rpartition("/")[2]
    return _CONTROL.sub("", last)[:_LONGEST_NAME].strip() or "picture"
