"""Counts of a ledger's objects and photographs, for plans, progress and summaries."""

from __future__ import annotations

from heritage.collection.ledger import Ledger
from heritage.collection.ledger_rows import ImageState


def _counts(ledger: Ledger, sql: str, museum: str) -> dict[str, int]:
    return {str(key): int(number) for key, number in ledger.query(sql, (museum,))}


def images_by_state(ledger: Ledger, museum: str) -> dict[str, int]:
    """Count photographs by state."""
    return _counts(ledger, "SELECT state, count(*) FROM images WHERE museum = ? GROUP BY state", museum)


def images_by_class(ledger: Ledger, museum: str, state: ImageState) -> dict[str, int]:
    """Count photographs in a state by class."""
    rows = ledger.query(
        "SELECT class, count(*) FROM images WHERE museum = ? AND state = ? GROUP BY class",
        (museum, state),
    )
    return {str(name): int(number) for name, number in rows}


def unread_objects(ledger: Ledger, museum: str) -> dict[str, int]:
    """Count objects that have not been read, by listing."""
    return _counts(
        ledger,
        "SELECT listing, count(*) FROM objects WHERE museum = ? AND state = 'listed' GROUP BY listing",
        museum,
    )


def records_to_request(ledger: Ledger, museum: str) -> dict[str, int]:
    """Count unread objects whose record must be requested, by listing: some lists include the records."""
    return _counts(
        ledger,
        "SELECT listing, count(*) FROM objects WHERE museum = ? AND state = 'listed' AND raw IS NULL "
        "GROUP BY listing",
        museum,
    )


def reserve_objects(ledger: Ledger, museum: str) -> dict[str, int]:
    """Count labelled objects that wait because their class is full, by class."""
    return _counts(
        ledger,
        "SELECT class, count(*) FROM objects WHERE museum = ? AND state = 'spare' GROUP BY class",
        museum,
    )


def objects_by_listing(ledger: Ledger, museum: str) -> dict[tuple[str, str], int]:
    """Count objects that have been read, by listing and class (empty if unlabelled)."""
    rows = ledger.query(
        "SELECT listing, coalesce(class, ''), count(*) FROM objects "
        "WHERE museum = ? AND state != 'listed' GROUP BY 1, 2",
        (museum,),
    )
    return {(str(listing), str(name)): int(number) for listing, name, number in rows}


def changed_objects(ledger: Ledger, museum: str) -> int:
    """Count labelled objects whose records have changed at the museum."""
    ((number,),) = ledger.query(
        "SELECT count(*) FROM objects WHERE museum = ? AND state = 'changed'", (museum,)
    )
    return int(number)


def mean_bytes(ledger: Ledger, museum: str) -> int | None:
    """Return the mean file size of stored photographs in bytes, or None."""
    ((mean,),) = ledger.query(
        "SELECT avg(bytes) FROM images WHERE museum = ? AND state = 'stored'", (museum,)
    )
    return None if mean is None else round(mean)


def any_stored(ledger: Ledger) -> bool:
    """Return whether a photograph of any museum is stored."""
    ((exists,),) = ledger.query("SELECT EXISTS (SELECT 1 FROM images WHERE state = 'stored')")
    return bool(exists)


def failure_reasons(ledger: Ledger, museum: str) -> list[tuple[str, str, str, int]]:
    """Count failures and exclusions: (objects or images, state, reason, count), most frequent first."""
    rows = ledger.query(
        "SELECT 'objects', state, coalesce(error, rule, ''), count(*) FROM objects "
        "WHERE museum = ?1 AND state IN ('refused', 'gone', 'failed', 'conflict', 'unmapped') GROUP BY 2, 3 "
        "UNION ALL SELECT 'images', state, coalesce(error, ''), count(*) FROM images "
        "WHERE museum = ?1 AND state IN ('refused', 'gone', 'failed') GROUP BY 2, 3 ORDER BY 4 DESC",
        (museum,),
    )
    return [(str(a), str(b), str(c), int(n)) for a, b, c, n in rows]


def allocated(ledger: Ledger, museum: str) -> dict[str, int]:
    """Count photographs that are stored or queued, by class."""
    rows = ledger.query(
        "SELECT class, count(*) FROM images WHERE museum = ? AND state IN ('wanted', 'writing', 'stored') "
        "GROUP BY class",
        (museum,),
    )
    return {str(name): int(number) for name, number in rows}
