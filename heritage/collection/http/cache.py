"""A cache of records and lists in an SQLite file, shared by all collections.

Photographs are not cached: they are in the collection's folder.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from heritage.core.bounded_read import TooLargeError, inflate
from heritage.errors import CollectionError

_LARGEST = 256 << 20  # bytes of a body
_TABLE = """
CREATE TABLE IF NOT EXISTS answers (
    url TEXT PRIMARY KEY, fetched REAL NOT NULL, body BLOB NOT NULL
) WITHOUT ROWID
"""


class RecordCache:
    """Bodies of successful responses by URL.

    Args:
        path: The file; created if missing.
        max_age_days: Older entries are ignored.

    Raises:
        CollectionError: The file cannot be opened.
    """

    def __init__(self, path: Path, *, max_age_days: float) -> None:
        self._max_age = max_age_days * 86_400
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, isolation_level=None, timeout=30)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.execute(_TABLE)
        except (OSError, sqlite3.Error) as error:
            raise CollectionError(
                f"the cache of records cannot be used ({error})", where=path, remedy="set cache.path=null"
            ) from error

    def get(self, url: str) -> bytes | None:
        """Return the body of a URL, or None if it is missing or too old."""
        row = self._db.execute(
            "SELECT body FROM answers WHERE url = ? AND fetched > ?", (url, time.time() - self._max_age)
        ).fetchone()
        try:
            return None if row is None else inflate(row[0], _LARGEST)
        except (TooLargeError, zlib.error):
            return None  # damaged: it is fetched again

    def put(self, url: str, body: bytes) -> None:
        """Store a body."""
        self._db.execute(
            "INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", (url, time.time(), zlib.compress(body, 3))
        )

    def invalidate(self, urls: Iterable[str]) -> None:
        """Remove the bodies of these URLs."""
        self._db.execute("BEGIN")
        self._db.executemany("DELETE FROM answers WHERE url = ?", ((url,) for url in urls))
        self._db.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._db.close()


@contextlib.contextmanager
def open_cache(path: Path | None, *, max_age_days: float) -> Iterator[RecordCache | None]:
    """Open a cache for the duration of the block; yields None if ``path`` is None."""
    if path is None:
        yield None
        return
    cache = RecordCache(path, max_age_days=max_age_days)
    try:
        yield cache
    finally:
        cache.close()
