"""A cache of museums' records and lists in one SQLite file, shared by all collections.

A record that another collection has asked for, or the same one before its rules changed, needs no
second request. Photographs are not kept here: the collection's folder has them.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from heritage.errors import CollectionError

_TABLE = """
CREATE TABLE IF NOT EXISTS answers (
    url TEXT PRIMARY KEY, fetched REAL NOT NULL, body BLOB NOT NULL
) WITHOUT ROWID
"""


class RecordCache:
    """Bodies of good answers by URL.

    Args:
        path: The file.
        max_age_days: Older answers are asked for again.
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
        """Return a body that is young enough, or None."""
        row = self._db.execute(
            "SELECT body FROM answers WHERE url = ? AND fetched > ?", (url, time.time() - self._max_age)
        ).fetchone()
        return None if row is None else zlib.decompress(row[0])

    def put(self, url: str, body: bytes) -> None:
        """Keep a body."""
        self._db.execute(
            "INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", (url, time.time(), zlib.compress(body, 3))
        )

    def forget(self, urls: Iterable[str]) -> None:
        """Forget the bodies of these URLs."""
        self._db.execute("BEGIN")
        self._db.executemany("DELETE FROM answers WHERE url = ?", ((url,) for url in urls))
        self._db.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._db.close()


@contextlib.contextmanager
def opened_cache(path: Path | None, *, max_age_days: float) -> Iterator[RecordCache | None]:
    """Yield the cache, or None where there is to be none."""
    if path is None:
        yield None
        return
    cache = RecordCache(path, max_age_days=max_age_days)
    try:
        yield cache
    finally:
        cache.close()
