"""The files of a form while it arrives: each byte is kept once, in memory, and nothing is written to disk."""

from __future__ import annotations

import io

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from heritage.server.schemas import RequestRefused

_OTHER_PARTS = 10  # of a form, beside its files: they are passed over


class Form:
    """Takes a form apart, chunk by chunk (RFC 7578).

    Args:
        content_type: The request's header, which names the boundary.
        pictures: Files that are accepted.

    Raises:
        Refusal: 400, there is no boundary.
    """

    def __init__(self, content_type: str, *, pictures: int) -> None:
        self._pictures = pictures
        self._parts = 0
        self._ended = False
        self._field = b""
        self._value = b""
        self._disposition = b""
        self._file: io.BytesIO | None = None
        self._files: list[tuple[str, io.BytesIO]] = []
        boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
        if not boundary:
            raise _broken()
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin_part,
                    "on_header_field": self._add_to_field,
                    "on_header_value": self._add_to_value,
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._end_headers,
                    "on_part_data": self._add_to_file,
                    "on_end": self._end,
                },
            )
        except FormParserError as error:
            raise _broken() from error

    def write(self, chunk: bytes) -> None:
        """Take what has arrived.

        Raises:
            Refusal: 400 no form, 413 too many files.
        """
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _broken() from error

    def files(self) -> list[tuple[str, bytes]]:
        """Return each file's name as it came, and its content; to be asked once, at the end.

        Raises:
            Refusal: 400, the form is cut off.
        """
        if not self._ended:
            raise _broken()
        # BytesIO gives its own buffer away instead of copying it
        return [(name, file.getvalue()) for name, file in self._files]

    def _begin_part(self) -> None:
        self._parts += 1
        if self._parts > self._pictures + _OTHER_PARTS:
            raise self._too_many()
        self._disposition = b""
        self._file = None

    def _add_to_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _add_to_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._disposition = self._value
        self._field = self._value = b""

    def _end_headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"name" not in options:
            raise _broken()
        if b"filename" not in options:
            return  # a field that is no file
        if len(self._files) == self._pictures:
            raise self._too_many()
        self._file = io.BytesIO()
        self._files.append((options[b"filename"].decode("utf-8", "replace"), self._file))

    def _add_to_file(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(memoryview(data)[start:end])

    def _end(self) -> None:
        self._ended = True

    def _too_many(self) -> RequestRefused:
        return RequestRefused(413, "too_many", f"A request may have {self._pictures} pictures.")


def _broken() -> RequestRefused:
    return RequestRefused(400, "bad_form", "The form cannot be read.")
