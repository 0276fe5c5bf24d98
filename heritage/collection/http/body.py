"""Response bodies: in memory, or in a ``.part`` file from which an interrupted download resumes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Protocol

from heritage.collection.http.errors import RetryError

SPILL = 1 << 20
"""Bytes of a photograph kept in memory; larger ones are streamed to a ``.part`` file."""

_MAX_VALIDATOR = 1000  # characters

_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/(?:[0-9]{1,18}|\*)")


class Body(Protocol):
    """Receives the bytes of a response; reused by each attempt."""

    size: int

    def request_headers(self) -> dict[str, str]:
        """Return additional headers of the next request."""

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Prepare for the bytes of a response with this status and these headers."""

    def write(self, chunk: bytes) -> None:
        """Append bytes."""

    def in_memory(self) -> bytes:
        """Return all bytes received so far."""

    def discard(self) -> None:
        """Discard all bytes received."""


class MemoryBody:
    """A body in memory."""

    def __init__(self) -> None:
        self.size = 0
        self._chunks: list[bytes] = []

    def request_headers(self) -> dict[str, str]:
        """Return no headers."""
        return {}

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Start an empty body."""
        self.discard()

    def write(self, chunk: bytes) -> None:
        """Append bytes."""
        self._chunks.append(chunk)
        self.size += len(chunk)

    def in_memory(self) -> bytes:
        """Return all bytes received so far."""
        if len(self._chunks) > 1:
            self._chunks = [b"".join(self._chunks)]
        return self._chunks[0] if self._chunks else b""

    def discard(self) -> None:
        """Discard all bytes received."""
        self._chunks.clear()
        self.size = 0


class PartBody:
    """A photograph's body: in memory while small, else in a ``.part`` file that a later attempt resumes.

    The validator (strong ETag or Last-Modified) of the first response is stored beside the part, so that
    only bytes of the same version of the file are appended, also after a restart.

    Args:
        part: The file; ``part.with_suffix(".tag")`` holds its validator.
        condition: Headers of a conditional request, for a photograph that is already stored.

    Attributes:
        size: Bytes received.
        spilled: Whether the bytes are in the part file instead of memory.
    """

    def __init__(self, part: Path, condition: Mapping[str, str] | None = None) -> None:
        self.size = 0
        self._part = part
        self._tag = part.with_suffix(".tag")
        self._condition = dict(condition or {})
        self._memory = MemoryBody()
        self._file: BinaryIO | None = None
        self.spilled = False
        self._on_disk = False
        self._validator: str | None = None

    def request_headers(self) -> dict[str, str]:
        """Return the headers of a range request for the rest of a part, or of a conditional request."""
        self.close()
        self._on_disk = self._part.exists()
        if not self._on_disk or not self._tag.exists() or not self._part.stat().st_size:
            return dict(self._condition)
        validator = self._tag.read_text(encoding="utf-8")
        return {"Range": f"bytes={self._part.stat().st_size}-", "If-Range": validator} if validator else {}

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Append to the part if the server sends the requested range, else start an empty body.

        Raises:
            RetryError: The server sends another range than requested.
        """
        self._memory.discard()
        self._validator = _strong_validator(headers)
        if status != 206:
            self.discard()
            return
        content_range = _CONTENT_RANGE.fullmatch(headers.get("content-range", ""))
        size = self._part.stat().st_size if self._part.exists() else 0
        if content_range is None or int(content_range[1]) != size or not size:
            self.discard()
            raise RetryError("another range than requested")
        self._file = self._part.open("ab")
        self.spilled = True
        self.size = size

    def write(self, chunk: bytes) -> None:
        """Append bytes."""
        self.size += len(chunk)
        if self._file is not None:
            self._file.write(chunk)
            return
        self._memory.write(chunk)
        if self._memory.size > SPILL:
            self._spill()

    def _spill(self) -> None:
        self._part.parent.mkdir(parents=True, exist_ok=True)
        # The validator is written first: a part without one is never resumed.
        self._on_disk = True
        self._tag.write_text(self._validator or "", encoding="utf-8")
        self._file = self._part.open("wb")
        self.spilled = True
        self._file.write(self._memory.in_memory())
        self._memory.discard()

    def in_memory(self) -> bytes:
        """Return all bytes received so far, from memory or from the part."""
        if not self.spilled:
            return self._memory.in_memory()
        self.close()
        return self._part.read_bytes()

    def remove_validator(self) -> None:
        """Remove the validator of a complete and verified part."""
        if self.spilled:
            self._tag.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the part file without removing it."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def discard(self) -> None:
        """Discard all bytes received and remove the part."""
        self.close()
        self._memory.discard()
        self.size = 0
        self.spilled = False
        if self._on_disk:
            self._on_disk = False
            self._part.unlink(missing_ok=True)
            self._tag.unlink(missing_ok=True)


def sendable(validator: str | None) -> str | None:
    """Return an ETag or a Last-Modified date if it can be sent in a conditional request, else None.

    A server may send any length, and bytes beyond ASCII, which httpx refuses to send.
    """
    if not validator or len(validator) > _MAX_VALIDATOR:
        return None
    return validator if validator.isascii() and validator.isprintable() else None


def _strong_validator(headers: Mapping[str, str]) -> str | None:
    tag = sendable(headers.get("etag"))
    return tag if tag and not tag.startswith("W/") else sendable(headers.get("last-modified"))
