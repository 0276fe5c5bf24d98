"""Read files and compressed data with a bound on the bytes that they become.

A few kilobytes can decompress to gigabytes. Whatever was not made by this process is read here: with a limit
that holds while it is decoded, not after.
"""

from __future__ import annotations

import errno
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

MAX_IMAGE_BYTES = 512 << 20
"""Size of an image file; the largest photographs of museums are TIFFs of 400 MB."""

_PIECE = 1 << 16  # bytes decoded at a time
_GZIP, _RAW = 16 + zlib.MAX_WBITS, -zlib.MAX_WBITS


class TooLargeError(OSError):
    """Data that are, or become, larger than their limit."""

    def __init__(self, what: str) -> None:
        super().__init__(errno.EFBIG, what)


class Inflater:
    """Decompresses gzip or deflate piece by piece.

    Args:
        encoding: ``gzip`` or ``deflate``, as in HTTP's Content-Encoding.
    """

    def __init__(self, encoding: str) -> None:
        self._is_gzip = encoding == "gzip"
        self._stream = zlib.decompressobj(_GZIP if self._is_gzip else zlib.MAX_WBITS)
        self._begun = False

    def decode(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the content of a chunk in pieces of 64 kB at most.

        Raises:
            zlib.error: The data are damaged.
        """
        while chunk:
            if self._stream.eof:  # a further member of a gzip file
                if not self._is_gzip:
                    return
                self._stream = zlib.decompressobj(_GZIP)
            yield self._piece(chunk)
            chunk = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail

    @property
    def complete(self) -> bool:
        """Whether the data have ended where their format says."""
        return self._stream.eof or not self._begun

    def _piece(self, chunk: bytes) -> bytes:
        try:
            piece = self._stream.decompress(chunk, _PIECE)
        except zlib.error:
            if self._is_gzip or self._begun:
                raise
            # many servers send deflate without the header of RFC 1950
            self._stream = zlib.decompressobj(_RAW)
            piece = self._stream.decompress(chunk, _PIECE)
        self._begun = True
        return piece


def inflate(data: bytes, limit: int) -> bytes:
    """Return what `zlib.compress` was given.

    Raises:
        TooLargeError: It is larger than ``limit`` bytes.
        zlib.error: The data are damaged.
    """
    stream = zlib.decompressobj()
    content = stream.decompress(data, limit + 1)
    if len(content) > limit:
        raise TooLargeError(f"more than {limit:,} bytes")
    if not stream.eof:
        raise zlib.error("incomplete data")
    return content


def read_bounded(path: Path, limit: int = MAX_IMAGE_BYTES) -> bytes:
    """Return the content of a regular file.

    Raises:
        OSError: It cannot be read, or is not a regular file: a pipe or a device would never end.
        TooLargeError: It is larger than ``limit`` bytes.
    """
    # without O_NONBLOCK, opening a pipe waits for a writer
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        if status.st_size > limit:
            raise TooLargeError(f"{status.st_size:,} bytes are more than {limit:,}")
        return file.read()


def require_regular(path: Path) -> None:
    """Check that a path is a regular file: a pipe or a device would never end.

    Raises:
        OSError: It is not, or does not exist.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))


def require_bounded_zip(file: Path | BinaryIO, limit: int) -> None:
    """Check the sizes that an archive declares; Python's reader does not read beyond them.

    Args:
        file: A zip file, or a format made of one: ``.xlsx``, ``.npz``, PyTorch's checkpoints.
        limit: Bytes of all members together.

    Raises:
        TooLargeError: It becomes larger.
        zipfile.BadZipFile: It is not a zip file.
    """
    with zipfile.ZipFile(file) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > limit:
        raise TooLargeError(f"the archive becomes {size:,} bytes, more than {limit:,}")
