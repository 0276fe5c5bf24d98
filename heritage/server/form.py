"""A streaming parser of multipart forms: each byte of a file is kept once, in memory only."""

from __future__ import annotations

import io
import re
from urllib.parse import unquote_to_bytes

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from heritage.server.schemas import RequestRefused

_MAX_HEADERS = 8192  # bytes of a part's headers
_EXTENDED_NAME = re.compile(rb"(?i);\s*filename\*\s*=\s*(utf-8|iso-8859-1)'[^']*'([^;\s\"]*)")
_QUOTED = re.compile(rb'"(?:[^"\\]|\\.)*"', re.S)
_OTHER_PARTS = 10  # parts accepted beside files; their content is ignored


class MultipartForm:
    """Parses ``multipart/form-data`` (RFC 7578) chunk by chunk.

    Args:
        content_type: The Content-Type header of the request, which names the boundary.
        max_files: Files at most.

    Raises:
        RequestRefused: The header names no valid boundary: 400.
    """

    def __init__(self, content_type: str, *, max_files: int) -> None:
        self._max_files = max_files
        self._parts = 0
        self._ended = False
        self._header_name = b""
        self._header_value = b""
        self._header_bytes = 0
        self._disposition = b""
        self._file: io.BytesIO | None = None
        self._files: list[tuple[str, io.BytesIO]] = []
        boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
        if not boundary:
            raise _malformed()
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin_part,
                    "on_header_field": self._add_to_header_name,
                    "on_header_value": self._add_to_header_value,
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._end_headers,
                    "on_part_data": self._add_to_file,
                    "on_end": self._end,
                },
            )
        except FormParserError as error:
            raise _malformed() from error

    def write(self, chunk: bytes) -> None:
        """Parse the next chunk.

        Raises:
            RequestRefused: 400 malformed, 413 too many files.
        """
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _malformed() from error

    def files(self) -> list[tuple[str, bytes]]:
        """Return the name and content of each file; to be called once, after the last chunk.

        Raises:
            RequestRefused: The form is truncated: 400.
        """
        if not self._ended:
            raise _malformed()
        # BytesIO returns its buffer without copying it
        return [(name, file.getvalue()) for name, file in self._files]

    def _begin_part(self) -> None:
        self._parts += 1
        if self._parts > self._max_files + _OTHER_PARTS:
            raise self._too_many()
        self._disposition = b""
        self._header_bytes = 0
        self._file = None

    def _add_to_header_name(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._header_name += data[start:end]

    def _add_to_header_value(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._header_value += data[start:end]

    def _count_header(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > _MAX_HEADERS:
            raise _malformed()

    def _end_header(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = self._header_value
        self._header_name = self._header_value = b""

    def _end_headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"name" not in options:
            raise _malformed()
        extended = _EXTENDED_NAME.search(_QUOTED.sub(b'""', self._disposition))
        if b"filename" not in options and extended is None:
            return  # a field that is not a file
        if len(self._files) == self._max_files:
            raise self._too_many()
        self._file = io.BytesIO()
        name = options.get(b"filename", b"").decode("utf-8", "replace")
        if extended is not None:  # some clients write it (RFC 8187) beside or instead of the plain one
            name = unquote_to_bytes(extended[2]).decode(extended[1].decode("ascii"), "replace")
        self._files.append((name, self._file))

    def _add_to_file(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(memoryview(data)[start:end])

    def _end(self) -> None:
        self._ended = True

    def _too_many(self) -> RequestRefused:
        return RequestRefused(413, "too_many", f"A request may have {self._max_files} images at most.")


def _malformed() -> RequestRefused:
    return RequestRefused(400, "bad_form", "The form is malformed.")
