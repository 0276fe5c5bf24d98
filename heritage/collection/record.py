"""The record of an object in a common form, and functions for parsing museums' records."""

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
_MAX_ID = 100  # characters
_MAX_YEAR = 10_000_000  # fits the manifest's 32-bit column
_TAG = re.compile(r"</?[a-zA-Z][^>]*>")


class RecordError(Exception):
    """A record must not or cannot be used.

    Attributes:
        final: False if fetching the record again may help (a damaged response).
    """

    def __init__(self, reason: str, *, final: bool = True) -> None:
        super().__init__(reason)
        self.final = final


@dataclass(frozen=True, slots=True)
class Photograph:
    """One photograph of an object.

    Attributes:
        url: Its URL, percent-encoded.
        credit: Its own credit line, if there is one.
    """

    url: str
    credit: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """A museum object; field names are those of the manifest.

    Attributes:
        department: An id (The Met) or a name, as used in class rules.
        place: Countries and regions where it was made or found.
        begin_year: First possible year of making, negative before the common era; None if unknown.
        end_year: Last possible year of making.
        photographs: Best first.
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
    """Return text without case, accents and repeated white space, for comparison.

    Museums change the spelling of their departments in all of these over the years.
    """
    plain = unicodedata.normalize("NFKD", text.replace("\u2019", "'").replace("\u2013", "-"))
    return " ".join("".join(c for c in plain if not unicodedata.combining(c)).casefold().split())


def plain_text(text: str) -> str:
    """Return text without HTML tags and entities, on one line."""
    return " ".join(_TAG.sub("", html.unescape(storable(text))).split())


def storable(text: str) -> str:
    """Replace unpaired surrogates, which neither SQLite nor Parquet can store."""
    return text.encode("utf-8", "replace").decode("utf-8")


def years(begin: int | None, end: int | None) -> tuple[int | None, int | None]:
    """Normalise a pair of years.

    Museums write 0 and 0 for "unknown" (there is no year 0), 0 as the end after a known beginning, and years
    before the common era in reverse order.
    """
    if begin == 0 and end == 0:
        return None, None
    if begin is not None and end is not None and begin > end:
        return (begin, None) if end == 0 else (end, begin)
    return begin, end


def text_of(record: Mapping[str, Any], key: str, *, required: bool = False) -> str:
    """Return a text field, or an empty string if it is missing or null.

    Raises:
        RecordError: The field is required and missing, or is not text.
    """
    value = record.get(key)
    if value is None and not required:
        return ""
    if not isinstance(value, str):
        raise RecordError(f"'{key}' is {'missing' if value is None else type(value).__name__}, not text")
    return plain_text(value)


def year_of(value: object) -> int | None:
    """Return a year given as a number, also as ``1850.0``; None for None and an empty string.

    Raises:
        RecordError: The value is not a year.
    """
    if value is None or value == "":
        return None
    year = value
    if isinstance(value, str) and (match := re.fullmatch(r"\s*(-?\d{1,8})(?:\.0*)?\s*", value)):
        year = int(match[1])
    elif isinstance(value, float) and value.is_integer():
        year = int(value)
    if isinstance(year, int) and not isinstance(year, bool) and abs(year) <= _MAX_YEAR:
        return year
    raise RecordError(f"{str(value)[:40]!r} is not a year")


def is_object_number(value: object) -> bool:
    """Return whether a value is a number that museums give objects: positive, of 12 digits at most."""
    if isinstance(value, str):
        return re.fullmatch(r"[0-9]{1,12}", value) is not None
    return type(value) is int and 0 < value < 10**12


def listed_id(value: object) -> str:
    """Return an id as a museum's list has it; what is not an id is refused, and counted, when it is read."""
    return storable(str(value))[:_MAX_ID]


def percent_encode(url: str) -> str:
    """Percent-encode the characters that a URL's path must not contain; encoded ones stay as they are.

    Museums publish paths with blanks, brackets, en dashes and, rarely, ``#`` or a bare ``%``.
    """
    scheme, separator, rest = storable(url).strip().partition("://")
    host, slash, path = rest.partition("/")
    path = re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", path)
    return f"{scheme}{separator}{host}{slash}{quote(path, safe=_SAFE)}"
