"""Find the encoding of people's text files: tables and lists of images."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path

from heritage.errors import ManifestError

log = logging.getLogger(__name__)

_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
SAVE_AS = "save it as CSV (UTF-8), .xlsx or Parquet"
"""What to do with a table that cannot be read."""


def decode_text(data: bytes, path: Path) -> str:
    """Decode a text file: UTF-8 or UTF-16, with or without a byte-order mark, or else Windows-1252.

    A file that was put together of several may have lines in UTF-8 and others in Windows-1252.

    Raises:
        ManifestError: It is in none of these encodings.
    """
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), None) or _unmarked_utf16(data)
    try:
        return data.decode(encoding or "utf-8")
    except UnicodeDecodeError as error:
        if encoding is None and b"\x00" not in data:
            with contextlib.suppress(UnicodeDecodeError):
                text, others = _decoded_lines(data)
                log.warning(
                    "%s: not UTF-8, %s as Windows-1252 (cp1252); save it as UTF-8 if its letters are wrong",
                    path, f"{others:,} {'line' if others == 1 else 'lines'} read" if others else "read",
                )  # fmt: skip
                return text
        raise ManifestError(
            f"unreadable table: not text in {encoding or 'UTF-8, UTF-16 or Windows-1252'}",
            where=path,
            remedy=SAVE_AS,
        ) from error


def _decoded_lines(data: bytes) -> tuple[str, int]:
    """Return text in Windows-1252, or with only those lines in it that are not UTF-8, and their number if so.

    Raises:
        UnicodeDecodeError: A line is in neither.
    """
    lines: list[str] = []
    others, mixed = 0, False
    for line in data.splitlines(keepends=True):
        try:
            lines.append(line.decode())
            mixed = mixed or not line.isascii()
        except UnicodeDecodeError:
            lines.append(line.decode("cp1252"))
            others += 1
    return "".join(lines), others if mixed else 0


def _unmarked_utf16(data: bytes) -> str | None:
    """Return the byte order of UTF-16 without a mark: every second byte of Latin text is zero."""
    head = data[:4096]
    if head[1::2].count(0) > len(head) / 4:
        return "utf-16-le"
    return "utf-16-be" if head[::2].count(0) > len(head) / 4 else None
