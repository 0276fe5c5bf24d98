"""What an adapter reads out of a museum's record: the object, and where its photographs are."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

Size = Literal["web", "original"]

_SAFE = "/%,;:@!$&'()*+=-._~"
_FARTHEST = 10_000_000  # years: older than mankind, and well within the manifest's column
_TAG = re.compile(r"</?[a-zA-Z][^>]*>")


class RecordError(Exception):
    """A record that must not or cannot be used, and why.

    Attributes:
        final: False where the same object may be well the next time (a damaged answer).
    """

    def __init__(self, reason: str, *, final: bool = True) -> None:
        super().__init__(reason)
        self.final = final


@dataclass(frozen=True, slots=True)
class Photograph:
    """One photograph of an object.

    Attributes:
        url: Where to fetch it, percent-encoded.
        credit: The photograph's own credit line, where it has one.
    """

    url: str
    credit: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """An object as the collector knows it; the field names are the manifest's.

    Attributes:
        department: As class rules name it: an id (The Met) or a name.
        place: Countries and regions where it was made or found.
        begin_year: Negative before the common era; None where the museum does not say.
        photographs: The best first.
    """

    object_id: str
    department: str
    source_url: str
    permalink: str
    licence: str
    credit: str
    title: str
    object_name: str
    culture: str
    period: str
    place: str
    begin_year: int | None
    end_year: int | None
    photographs: tuple[Photograph, ...]


def fold(text: str) -> str:
    """Return text without case, accents and repeated white space, for comparing.

    Departments' spelling drifts between years in all of these.
    """
    plain = unicodedata.normalize("NFKD", text.replace("\u2019", "'").replace("\u2013", "-"))
    return " ".join("".join(c for c in plain if not unicodedata.combining(c)).casefold().split())


def plain_text(text: str) -> str:
    """Return a museum's text without HTML markup and entities, on one line."""
    return " ".join(_TAG.sub("", html.unescape(storable(text))).split())


def storable(text: str) -> str:
    """Replace surrogates without their other half, which neither SQLite nor Parquet can hold."""
    return text.encode("utf-8", "replace").decode("utf-8")


def years(begin: int | None, end: int | None) -> tuple[int | None, int | None]:
    """Put a pair of years into order.

    Museums write 0 and 0 for "unknown" (there is no year 0), 0 as the end of a known beginning, and
    years before the common era the wrong way round.
    """
    if begin == 0 and end == 0:
        return None, None
    if begin is not None and end is not None and begin > end:
        return (begin, None) if end == 0 else (end, begin)
    return begin, end


def text_of(record: Mapping[str, Any], key: str, *, needed: bool = False) -> str:
    """Return a text field, empty where it is missing or null.

    Raises:
        RecordError: The field is needed and missing, or is not text.
    """
    value = record.get(key)
    if value is None and not needed:
        return ""
    if not isinstance(value, str):
        raise RecordError(f"'{key}' is {'missing' if value is None else type(value).__name__}, not text")
    return plain_text(value)


def year_of(value: object) -> int | None:
    """Return a year that may be written as a number, as digits, or not at all (``""``, None).

    Raises:
        RecordError: It is none of these.
    """
    if value is None or value == "":
        return None
    year = value
    if isinstance(value, str) and re.fullmatch(r"\s*-?\d{1,8}\s*", value):
        year = int(value)
    if isinstance(year, int) and not isinstance(year, bool) and abs(year) <= _FARTHEST:
        return year
    raise RecordError(f"{str(value)[:40]!r} is not a year")


def percent_encode(url: str) -> str:
    """Encode what may not stand in a URL's path and leave what is encoded already.

    Museums publish paths with blanks, brackets, dashes of all lengths and, rarely, ``#`` or a bare ``%``.
    """
    scheme, separator, rest = storable(url).strip().partition("://")
    host, slash, path = rest.partition("/")
    path = re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", path)
    return f"{scheme}{separator}{host}{slash}{quote(path, safe=_SAFE)}"
