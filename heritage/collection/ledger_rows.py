"""Where objects and photographs stand, and the ledger's rows about them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ObjectState(StrEnum):
    """Where an object stands."""

    LISTED = "listed"  # its record is to be fetched
    SPARE = "spare"  # labelled when its class was full: no photograph of it is wanted yet
    LABELLED = "labelled"
    CHANGED = "changed"  # labelled, and its record is to be fetched again: the museum changed it
    UNMAPPED = "unmapped"  # no rule holds
    CONFLICT = "conflict"  # rules disagree
    REFUSED = "refused"  # must not be used: not in the public domain, no photograph, set aside
    GONE = "gone"
    FAILED = "failed"


class ImageState(StrEnum):
    """Where a photograph stands."""

    WANTED = "wanted"
    WRITING = "writing"  # verified; its file is being renamed into place
    STORED = "stored"
    SUPERSEDED = "superseded"  # was stored, but no record shows it any more
    REFUSED = "refused"  # not a photograph worth having, or the museum refuses it
    GONE = "gone"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ObjectRow:
    """An object to work on."""

    museum: str
    object_id: str
    listing: str
    rank: int
    raw: bytes | None


@dataclass(frozen=True, slots=True)
class ImageRow:
    """A photograph to work on."""

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
    """A verified photograph's file."""

    file: str
    sha256: str
    bytes: int
    width: int
    height: int
    etag: str | None = None
    last_modified: str | None = None
