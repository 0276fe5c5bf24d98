"""The pictures of a request, read within bounds and kept in memory: nothing is ever written to disk."""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError
from starlette.datastructures import Headers
from starlette.requests import Request

from heritage.core.image_io import FORMATS, Pixels, decode
from heritage.errors import ImageError
from heritage.server.form import Form
from heritage.server.limits import MEGABYTE, Limits
from heritage.server.schemas import RequestRefused, busy

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


class _Intake:
    """The body of a request, counted as it comes.

    Args:
        request: Whose.
        limit: Bytes it may have.
        memory: Where they are counted.
    """

    def __init__(self, request: Request, limit: int, memory: Memory) -> None:
        self._request = request
        self._limit = limit
        self._memory = memory
        self.taken = 0

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield what arrives.

        Raises:
            Refusal: 413 too large, 503 too many bytes are held already.
        """
        async for chunk in self._request.stream():
            self._memory.take(len(chunk))
            self.taken += len(chunk)
            if self.taken > self._limit:
                raise _too_large(self._limit)
            yield chunk


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
        raise RequestRefused(
            415, "unsupported_media_type", "Send pictures as multipart/form-data, or one as image/*."
        )
    limit = int(limits.megabytes * MEGABYTE)
    _refuse_announced(request.headers, limit)
    intake = _Intake(request, limit, memory)
    read = _files if kind == "multipart/form-data" else _picture
    try:
        try:
            async with asyncio.timeout(limits.upload_seconds):
                found = await read(request.headers, intake, limits)
        except TimeoutError as error:
            raise RequestRefused(
                408, "too_slow", f"The upload took longer than {limits.upload_seconds:g} seconds."
            ) from error
        if not any(upload.data for upload in found):
            raise RequestRefused(400, "no_picture", "The request holds no picture.")
        yield found
    finally:
        memory.give_back(intake.taken)


def _refuse_announced(headers: Headers, limit: int) -> None:
    announced = headers.get("content-length")
    if announced is not None and announced.isdecimal() and int(announced) > limit:
        raise _too_large(limit)


def _too_large(limit: int) -> RequestRefused:
    return RequestRefused(413, "too_large", f"A request may have {limit / MEGABYTE:g} MB.")


async def _picture(_: Headers, intake: _Intake, __: Limits) -> list[Upload]:
    body = io.BytesIO()
    async for chunk in intake.chunks():
        body.write(chunk)
    return [Upload("picture", body.getvalue())]


async def _files(headers: Headers, intake: _Intake, limits: Limits) -> list[Upload]:
    form = Form(headers["content-type"], pictures=limits.pictures)
    async for chunk in intake.chunks():
        form.write(chunk)
    return [Upload(shown_name(name), data) for name, data in form.files()]


def shown_name(name: str | None) -> str:
    """Return what to call a picture: its file name without folders, control and direction characters."""
    last = (name or "").replace("\\", "/").rpartition("/")[2]
    return _CONTROL.sub("", last)[:_LONGEST_NAME].strip() or "picture"


_MOST_SCANS = 200
"""Progressive JPEGs have about ten. Each scan of a few bytes makes the decoder go over all pixels again."""

_SCAN = b"\xff\xda"


def read_picture(data: bytes, *, at_least: int, megapixels: float) -> Pixels:
    """Decode a picture after a look at its header.

    Args:
        data: The file.
        at_least: Pixels a side that are needed (`heritage.core.image_io.decode`).
        megapixels: More than this are not decoded.

    Returns:
        RGB pixels (H, W, 3).

    Raises:
        Refusal: 413 too many pixels, 415 no picture of a known format, 422 damaged.
    """
    width, height = _size(data)
    if width * height > megapixels * 1e6:
        raise RequestRefused(
            413,
            "too_many_pixels",
            f"The picture has more than {megapixels:g} million pixels. Make it smaller.",
        )
    if data[:2] == b"\xff\xd8" and data.count(_SCAN) > _MOST_SCANS:
        raise _damaged()
    try:
        return decode(data, at_least=at_least)
    except ImageError as error:
        raise _damaged() from error


def _size(data: bytes) -> tuple[int, int]:
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            return image.size
    except UnidentifiedImageError as error:
        raise RequestRefused(
            415, "not_a_picture", f"This is not a picture that can be read ({', '.join(FORMATS)})."
        ) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise RequestRefused(
            413, "too_many_pixels", "The picture has far too many pixels. Make it smaller."
        ) from error
    except (OSError, ValueError, SyntaxError, EOFError, OverflowError) as error:
        raise _damaged() from error


def _damaged() -> RequestRefused:
    return RequestRefused(422, "damaged", "The picture is damaged or cut off.")
