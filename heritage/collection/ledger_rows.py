"""States and rows of the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ObjectState(StrEnum):
    """State of an object."""

    LISTED = "listed"  # its record must be fetched
    RESERVE = "spare"  # labelled while its class was full: its photographs are not queued yet
    LABELLED = "labelled"
    CHANGED = "changed"  # labelled; its record has changed at the museum and must be fetched again
    UNMAPPED = "unmapped"  # no rule matches
    CONFLICT = "conflict"  # rules disagree
    REFUSED = "refused"  # must not be used: not in the public domain, no photograph, excluded by a rule
    GONE = "gone"
    FAILED = "failed"


class ImageState(StrEnum):
    """State of a photograph."""

    QUEUED = "wanted"  # must be fetched
    WRITING = "writing"  # validated; its file is being renamed
    STORED = "stored"
    SUPERSEDED = "superseded"  # stored, but no record links to it any more
    REFUSED = "refused"  # invalid, or refused by the museum
    GONE = "gone"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ObjectRow:
    """An object to read."""

    museum: str
    object_id: str
    listing: str
    rank: int
    raw: bytes | None


@dataclass(frozen=True, slots=True)
class ImageRow:
    """A photograph to fetch."""

    id: int
    url: str
    class_name: str
    stem: str
    attempts: int
    file: str | None = None
    sha256: str | None = None
    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True, slots=True)
class StoredFile:
    """The file of a validated photograph."""

    file: str
    sha256: str
    bytes: int
    width: int
    height: int
    etag: str | None = None
    last_modified: str | None = None
