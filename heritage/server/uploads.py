"""The images of a request: received and decoded within limits, in memory only."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import cached_property

from PIL import Image, UnidentifiedImageError
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request

from heritage.core.escaping import without_hidden
from heritage.core.image_io import FORMATS, Pixels, decode
from heritage.errors import ImageError
from heritage.server.form import MultipartForm
from heritage.server.limits import MEGABYTE, Limits
from heritage.server.schemas import RequestRefused, busy

_NAME_LENGTH = 120


@dataclass(frozen=True)
class Upload:
    """An uploaded image.

    Attributes:
        name: Its file name, safe to display (`display_name`).
        data: The encoded file.
    """

    name: str
    data: bytes

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of the file, in hexadecimal digits."""
        return hashlib.sha256(self.data).hexdigest()


class UploadMemory:
    """Counts the bytes of all uploads that are in memory.

    Args:
        limit: Bytes at most.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0

    def acquire(self, size: int) -> None:
        """Add bytes.

        Raises:
            RequestRefused: They would exceed the limit: 503.
        """
        if self.held + size > self.limit:
            raise busy()
        self.held += size

    def release(self, size: int) -> None:
        """Subtract bytes."""
        self.held -= size


@contextlib.asynccontextmanager
async def read_uploads(request: Request, limits: Limits, memory: UploadMemory) -> AsyncIterator[list[Upload]]:
    """Receive the images of a request; their bytes are counted until the context exits.

    Args:
        request: ``multipart/form-data`` with images in any fields, or a single image as the body.
        limits: Limits of requests.
        memory: Counts the bytes.

    Raises:
        RequestRefused: 400 no image or a malformed form, 408 too slow, 413 too large or too many images,
            415 another content type, 503 too many bytes in memory.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_form = content_type == "multipart/form-data"
    if not is_form and not content_type.startswith("image/") and content_type != "application/octet-stream":
        raise RequestRefused(
            415, "unsupported_media_type", "Send images as multipart/form-data, or a single one as image/*."
        )
    max_bytes = int(limits.megabytes * MEGABYTE)
    _check_content_length(request.headers, max_bytes)
    body = _CountedBody(request, max_bytes, memory)
    try:
        try:
            async with asyncio.timeout(limits.upload_seconds):
                uploads = await (_read_form(request, body, limits) if is_form else _read_image(body))
        except TimeoutError as error:
            raise RequestRefused(
                408, "too_slow", f"The upload took longer than {limits.upload_seconds:g} seconds."
            ) from error
        if not any(upload.data for upload in uploads):
            raise RequestRefused(400, "no_picture", "The request contains no image.")
        yield uploads
    finally:
        memory.release(body.received)


async def read_body(request: Request, max_bytes: int, seconds: float) -> bytes:
    """Receive a small JSON document.

    Args:
        request: The request.
        max_bytes: Bytes at most.
        seconds: Time for it to arrive.

    Raises:
        RequestRefused: 400 the client has gone, 408 too slow, 413 too large, 415 another content type.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":  # a form of another page could send any other
        raise RequestRefused(415, "unsupported_media_type", "Send application/json.")
    body = _CountedBody(request, max_bytes, UploadMemory(max_bytes + (1 << 20)))
    data = io.BytesIO()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in body.chunks():
                data.write(chunk)
    except TimeoutError as error:
        raise RequestRefused(408, "too_slow", f"The request took longer than {seconds:g} seconds.") from error
    except ClientDisconnect as error:
        raise RequestRefused(400, "disconnected", "The client has gone.") from error
    return data.getvalue()


class _CountedBody:
    """The body of a request; its bytes are counted as they arrive.

    Args:
        request: The request.
        max_bytes: Bytes at most.
        memory: Counts the bytes of all requests.
    """

    def __init__(self, request: Request, max_bytes: int, memory: UploadMemory) -> None:
        self._request = request
        self._max_bytes = max_bytes
        self._memory = memory
        self.received = 0

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body in chunks.

        Raises:
            RequestRefused: 413 too large, 503 too many bytes in memory.
        """
        async for chunk in self._request.stream():
            self._memory.acquire(len(chunk))
            self.received += len(chunk)
            if self.received > self._max_bytes:
                raise _too_large(self._max_bytes)
            yield chunk


async def _read_image(body: _CountedBody) -> list[Upload]:
    data = io.BytesIO()
    async for chunk in body.chunks():
        data.write(chunk)
    return [Upload("picture", data.getvalue())]


async def _read_form(request: Request, body: _CountedBody, limits: Limits) -> list[Upload]:
    form = MultipartForm(request.headers["content-type"], max_files=limits.pictures)
    async for chunk in body.chunks():
        form.write(chunk)
    return [Upload(display_name(name), data) for name, data in form.files()]


def _check_content_length(headers: Headers, max_bytes: int) -> None:
    length = headers.get("content-length")
    if length is not None and re.fullmatch("[0-9]{1,18}", length) and int(length) > max_bytes:
        raise _too_large(max_bytes)


def _too_large(max_bytes: int) -> RequestRefused:
    size = f"{max_bytes / MEGABYTE:g} MB" if max_bytes >= MEGABYTE else f"{max_bytes:,} bytes"
    return RequestRefused(413, "too_large", f"A request may have {size} at most.")


def display_name(name: str | None) -> str:
    """Return a file name without folders, control characters and direction marks, of limited length."""
    last = (name or "").replace("\\", "/").rpartition("/")[2]
    return without_hidden(last)[:_NAME_LENGTH].strip() or "picture"


def decode_upload(data: bytes, *, at_least: int, megapixels: float) -> Pixels:
    """Decode an image from an untrusted client; its header is checked first.

    Args:
        data: The encoded file.
        at_least: A JPEG may be decoded at reduced size as long as no side is shorter than this.
        megapixels: Larger images are not decoded.

    Returns:
        RGB pixels (H, W, 3).

    Raises:
        RequestRefused: 413 too many pixels, 415 not an image in a supported format, 422 damaged.
    """
    width, height = _read_size(data)
    if width * height > megapixels * 1e6:
        raise _too_many_pixels(megapixels)
    try:
        return decode(data, name="upload", at_least=at_least)
    except ImageError as error:
        raise _damaged() from error


def _read_size(data: bytes) -> tuple[int, int]:
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            return image.size
    except UnidentifiedImageError as error:
        raise RequestRefused(
            415, "not_a_picture", f"This is not an image in a supported format ({', '.join(FORMATS)})."
        ) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_many_pixels() from error
    except (OSError, ValueError, SyntaxError, EOFError, OverflowError) as error:
        raise _damaged() from error


def _too_many_pixels(megapixels: float | None = None) -> RequestRefused:
    size = "far too many" if megapixels is None else f"more than {megapixels:g} million"
    return RequestRefused(413, "too_many_pixels", f"The image has {size} pixels. Make it smaller.")


def _damaged() -> RequestRefused:
    return RequestRefused(422, "damaged", "The image is damaged or truncated.")
