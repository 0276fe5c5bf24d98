"""Where an answer's bytes go: into memory, and a large photograph's into a file that can be continued."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Protocol

from heritage.collection.http.errors import RetryError

SPILL = 1 << 20
"""Bytes of a photograph that are kept in memory; a larger one goes to its ``.part`` file as it comes."""

_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(?:\d+|\*)")


class Body(Protocol):
    """A receiver of an answer's bytes, used anew by each attempt."""

    size: int

    def request_headers(self) -> dict[str, str]:
        """Return the headers that a request for it needs."""

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Make ready for the bytes of an answer."""

    def write(self, chunk: bytes) -> None:
        """Take some bytes."""

    def in_memory(self) -> bytes:
        """Return all bytes received."""

    def discard(self) -> None:
        """Forget what was received."""


class MemoryBody:
    """A body that is kept in memory."""

    def __init__(self) -> None:
        self.size = 0
        self._chunks: list[bytes] = []

    def request_headers(self) -> dict[str, str]:
        """Nothing special is asked for."""
        return {}

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Start from nothing."""
        self.discard()

    def write(self, chunk: bytes) -> None:
        """Take some bytes."""
        self._chunks.append(chunk)
        self.size += len(chunk)

    def in_memory(self) -> bytes:
        """Return all bytes received."""
        if len(self._chunks) > 1:
            self._chunks = [b"".join(self._chunks)]
        return self._chunks[0] if self._chunks else b""

    def discard(self) -> None:
        """Forget what was received."""
        self._chunks.clear()
        self.size = 0


class PartBody:
    """A photograph's body: in memory while small, else in a ``.part`` file that a later attempt continues.

    The validator (strong ETag or Last-Modified) of the first answer is kept beside the part, so that
    only a continuation of the very same file is ever appended, also after a restart.

    Args:
        part: The file; ``part.with_suffix(".tag")`` holds its validator.
        condition: Headers of a conditional request, for a file that is on disk already.

    Attributes:
        size: Bytes received.
        spilled: The bytes are in the part, not in memory.
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
        """Ask for the rest of a part, or on a condition."""
        self.close()
        self._on_disk = self._part.exists()
        if not self._on_disk or not self._tag.exists() or not self._part.stat().st_size:
            return dict(self._condition)
        kept = self._tag.read_text(encoding="utf-8")
        return {"Range": f"bytes={self._part.stat().st_size}-", "If-Range": kept} if kept else {}

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Append where the server continues, start anew where it does not.

        Raises:
            RetryError: The server continues at another place than it was asked to.
        """
        self._memory.discard()
        self._validator = _validator(headers)
        if status != 206:
            self.discard()
            return
        found = _CONTENT_RANGE.fullmatch(headers.get("content-range", ""))
        size = self._part.stat().st_size if self._part.exists() else 0
        if found is None or int(found[1]) != size or not size:
            self.discard()
            raise RetryError("a range that was not asked for")
        self._file = self._part.open("ab")
        self.spilled = True
        self.size = size

    def write(self, chunk: bytes) -> None:
        """Take some bytes."""
        self.size += len(chunk)
        if self._file is not None:
            self._file.write(chunk)
            return
        self._memory.write(chunk)
        if self._memory.size > SPILL:
            self._spill()

    def _spill(self) -> None:
        self._part.parent.mkdir(parents=True, exist_ok=True)
        # The validator goes first: a part without one is never continued.
        self._on_disk = True
        self._tag.write_text(self._validator or "", encoding="utf-8")
        self._file = self._part.open("wb")
        self.spilled = True
        self._file.write(self._memory.in_memory())
        self._memory.discard()

    def in_memory(self) -> bytes:
        """Return all bytes received, from memory or from the part."""
        if not self.spilled:
            return self._memory.in_memory()
        self.close()
        return self._part.read_bytes()

    def forget_validator(self) -> None:
        """The part is whole and verified: it will not be continued."""
        if self.spilled:
            self._tag.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the part and keep it."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def discard(self) -> None:
        """Forget what was received and remove the part."""
        self.close()
        self._memory.discard()
        self.size = 0
        self.spilled = False
        if self._on_disk:
            self._on_disk = False
            self._part.unlink(missing_ok=True)
            self._tag.unlink(missing_ok=True)


def _validator(headers: Mapping[str, str]) -> str | None:
    tag = headers.get("etag")
    if tag and not tag.startswith("W/"):
        return tag
    return headers.get("last-modified")
