"""The ledger: the state of every object and photograph of a collection, in an SQLite file.

Every change is a transaction in write-ahead mode, so that a killed collector loses at most the request in
flight. The ledger is also the work queue: it is read in pages, and memory use does not grow with the number
of objects.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import sqlite3
import time
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from heritage.collection.ledger_check import REMEDY, check_ledger, ledger_error
from heritage.collection.ledger_rows import ImageRow, ImageState, ObjectRow, ObjectState, StoredFile
from heritage.collection.record import Photograph, Record, storable
from heritage.collection.rules import LabelDecision
from heritage.collection.sources.source import ListedObject
from heritage.core.bounded_read import TooLargeError, inflate
from heritage.core.taxonomy import parse_image_name
from heritage.errors import CollectionError

LEDGER_FILE = "ledger.sqlite"
SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE objects (
    museum TEXT NOT NULL, object_id TEXT NOT NULL, listing TEXT NOT NULL, rank INTEGER NOT NULL,
    state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, error TEXT,
    listed REAL NOT NULL, updated REAL NOT NULL,
    class TEXT, rule TEXT, fields TEXT, raw BLOB,
    PRIMARY KEY (museum, object_id)
) WITHOUT ROWID;
CREATE INDEX objects_to_do ON objects (museum, state, listing, class, rank);
CREATE TABLE images (
    id INTEGER PRIMARY KEY, url TEXT NOT NULL UNIQUE, museum TEXT NOT NULL, object_id TEXT NOT NULL,
    class TEXT NOT NULL, stem TEXT NOT NULL, credit TEXT, state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, error TEXT, updated REAL NOT NULL,
    file TEXT, sha256 TEXT, bytes INTEGER, width INTEGER, height INTEGER, etag TEXT, last_modified TEXT
);
CREATE INDEX images_to_do ON images (museum, state, id);
CREATE TABLE views (
    museum TEXT NOT NULL, object_id TEXT NOT NULL, position INTEGER NOT NULL, image INTEGER NOT NULL,
    PRIMARY KEY (museum, object_id, position)
) WITHOUT ROWID;
CREATE INDEX views_of_image ON views (image);
"""

_MAX_REASON = 500
_LARGEST_RECORD = 256 << 20  # bytes

_FIELDS = tuple(field.name for field in fields(Record) if field.name != "photographs")
_STORED = tuple(field.name for field in fields(StoredFile))

_KEEP = "DO UPDATE SET listing = excluded.listing WHERE listing = ''"
_REFRESH = """
DO UPDATE SET state = CASE WHEN state IN ('labelled', 'changed') THEN 'changed' ELSE 'listed' END,
    class = CASE WHEN state IN ('labelled', 'changed') THEN class END,
    attempts = 0, error = NULL, updated = excluded.updated, raw = excluded.raw
"""


class Ledger:
    """A collection's ledger.

    Args:
        path: The file; created if missing.

    Raises:
        CollectionError: It cannot be opened, was made by a newer version, or is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._db = sqlite3.connect(path, isolation_level=None, timeout=30)
            self._db.execute("PRAGMA journal_mode=WAL")
            # In write-ahead mode a killed process loses nothing. A power failure may lose the last
            # transactions but does not corrupt the file; images without a ledger entry are fetched again.
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._open_schema()
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise ledger_error(error, path) from error

    def _open_schema(self) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            self._db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
        elif version != SCHEMA_VERSION:
            raise CollectionError(
                f"the ledger has schema version {version}, this version of heritage reads {SCHEMA_VERSION}",
                where=self.path,
                remedy="use the version of heritage that made it, or another folder",
            )
        else:
            check_ledger(self._db, self.path)
        self._db.execute("CREATE INDEX IF NOT EXISTS images_of_object ON images (museum, object_id)")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN")
        try:
            yield
        except BaseException:  # also Ctrl-C and cancelled tasks leave no open transaction; raised again
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def get(self, key: str) -> str | None:
        """Return the value of a key, or None."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def put(self, key: str, value: str) -> None:
        """Set the value of a key."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def remove(self, prefix: str) -> None:
        """Remove all keys with a prefix."""
        self._db.execute("DELETE FROM meta WHERE substr(key, 1, length(?1)) = ?1", (prefix,))

    def query(self, sql: str, parameters: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        """Run a read-only query."""
        # A generator that ends after the ledger is closed must not close its cursor: map has no close().
        yield from map(tuple, self._db.execute(sql, parameters))

    def list_objects(
        self, museum: str, listing: str, items: Iterable[ListedObject], *, seed: int, changed: bool = False
    ) -> int:
        """Add listed objects.

        Args:
            museum: The museum's code.
            listing: The key of the listing.
            items: The objects; known objects are unchanged and stay in the listing that named them first.
            seed: Seed of the order in which objects are read: the first ones are a random sample.
            changed: Whether the records of known objects have changed and must be fetched again.

        Returns:
            Number of objects that are new to the listing or must be fetched again.
        """
        now = time.time()
        sql = (
            "INSERT INTO objects (museum, object_id, listing, rank, state, listed, updated, raw) "
            "VALUES (?, ?, ?, ?, 'listed', ?, ?, ?) ON CONFLICT "
        ) + (_REFRESH if changed else _KEEP)
        rows = (
            (
                museum,
                i.object_id,
                listing,
                _rank(seed, i.object_id),
                now,
                now,
                i.raw and zlib.compress(i.raw, 3),
            )
            for i in items
        )
        with self._transaction():
            return self._db.executemany(sql, rows).rowcount

    def unlist(self, museum: str) -> None:
        """Remove objects without photographs from their listings, so that another listing can claim them."""
        self._db.execute(
            "UPDATE objects SET listing = '' WHERE museum = ? AND state IN ('listed', 'spare')", (museum,)
        )

    def objects_in_state(
        self, museum: str, listing: str, state: ObjectState, class_name: str | None, after: int, limit: int
    ) -> list[ObjectRow]:
        """Return the next objects of a listing in a state, in shuffled order."""
        rows = self._db.execute(
            "SELECT museum, object_id, listing, rank, raw FROM objects "
            "WHERE museum = ? AND state = ? AND listing = ? AND class IS ? AND rank > ? "
            "ORDER BY rank LIMIT ?",
            (museum, state, listing, class_name, after, limit),
        )
        return [ObjectRow(m, i, where, rank, raw and unpacked(raw)) for m, i, where, rank, raw in rows]

    def changed_objects(self, museum: str, after: int, limit: int) -> list[ObjectRow]:
        """Return the next objects with photographs whose records have changed."""
        rows = self._db.execute(
            "SELECT museum, object_id, listing, rank, raw FROM objects "
            "WHERE museum = ? AND state = 'changed' AND rank > ? ORDER BY rank LIMIT ?",
            (museum, after, limit),
        )
        return [ObjectRow(m, i, where, rank, raw and unpacked(raw)) for m, i, where, rank, raw in rows]

    def store_raw(self, row: ObjectRow, raw: bytes) -> None:
        """Store a record as received."""
        self._db.execute(
            "UPDATE objects SET raw = ?, updated = ? WHERE museum = ? AND object_id = ?",
            (zlib.compress(raw, 3), time.time(), row.museum, row.object_id),
        )

    def finish_object(self, row: ObjectRow, state: ObjectState, error: str, attempts: int = 0) -> None:
        """Set the final state of an object that has no usable record, and the reason.

        An object that was labelled before keeps its class and photographs if fetching its record failed.
        """
        self._db.execute(
            "UPDATE objects SET state = ?1, error = ?2, attempts = attempts + ?3, updated = ?4, "
            "class = CASE WHEN ?1 = 'failed' AND state = 'changed' THEN class END "
            "WHERE museum = ?5 AND object_id = ?6",
            (state, _reason(error), attempts, time.time(), row.museum, row.object_id),
        )

    def clear_removed_classes(self, museum: str, classes: tuple[str, ...]) -> None:
        """Clear the class of objects whose record must be fetched again if the class no longer exists."""
        self._db.execute(
            "UPDATE objects SET class = NULL WHERE museum = ? AND state IN ('changed', 'failed') "
            "AND class NOT IN (SELECT value FROM json_each(?))",
            (museum, json.dumps(classes)),
        )

    def record_label(
        self,
        row: ObjectRow,
        record: Record,
        decision: LabelDecision,
        *,
        reserve: bool,
        photographs: Iterable[tuple[str, Photograph]] | None = None,
    ) -> int:
        """Store the label of an object and queue its photographs.

        Args:
            row: The object.
            record: Its record.
            decision: The decision of the class rules.
            reserve: Whether the object is labelled while its class is full.
            photographs: File stems and photographs, best first; those not linked to another object are
                queued. None leaves the object's photographs unchanged.

        Returns:
            Number of photographs queued.
        """
        state = ObjectState.RESERVE if reserve else ObjectState(decision.outcome)
        values = {name: getattr(record, name) for name in _FIELDS}
        key = (row.museum, row.object_id)
        with self._transaction():
            self._db.execute(
                "UPDATE objects SET state = ?, error = NULL, attempts = 0, updated = ?, class = ?, rule = ?, "
                "fields = ? WHERE museum = ? AND object_id = ?",
                (
                    state,
                    time.time(),
                    decision.class_name,
                    decision.rule,
                    json.dumps(values, ensure_ascii=False),
                    *key,
                ),
            )
            if photographs is None:
                return 0
            before = self._db.execute(
                "SELECT image FROM views WHERE museum = ? AND object_id = ?", key
            ).fetchall()
            self._db.execute("DELETE FROM views WHERE museum = ? AND object_id = ?", key)
            new = sum(
                self._link(key, str(decision.class_name), position, stem, photo)
                for position, (stem, photo) in enumerate(photographs)
            )
            self._db.executemany(
                "UPDATE images SET state = 'superseded' WHERE id = ?1 AND state = 'stored' "
                "AND NOT EXISTS (SELECT 1 FROM views WHERE image = ?1)",
                before,
            )
            return new

    def _link(
        self, key: tuple[str, str], class_name: str, position: int, stem: str, photo: Photograph
    ) -> int:
        new = self._db.execute(
            "INSERT INTO images (url, museum, object_id, class, stem, credit, state, updated) "
            "VALUES (?, ?, ?, ?, ?, ?, 'wanted', ?) ON CONFLICT DO UPDATE SET museum = excluded.museum, "
            "object_id = excluded.object_id, class = excluded.class, stem = excluded.stem, file = NULL, "
            "state = 'wanted', attempts = 0 WHERE state = 'superseded'",
            (photo.url, *key, class_name, self.free_stem(*key, stem), photo.credit, time.time()),
        ).rowcount
        self._db.execute(
            "INSERT INTO views SELECT ?, ?, ?, id FROM images WHERE url = ?", (*key, position, photo.url)
        )
        return new

    def free_stem(self, museum: str, object_id: str, stem: str) -> str:
        """Return a file stem that no other photograph of the object has, in any class.

        A changed record may list a new photograph before one that is already stored under the first number.
        """
        rows = self._db.execute(
            "SELECT stem FROM images WHERE museum = ? AND object_id = ?", (museum, object_id)
        )
        taken = {parse_image_name(str(row[0])).unique_id for row in rows}
        name = parse_image_name(stem)
        further = (f"{object_id}-{number}" for number in itertools.count(2))
        free = next(unique for unique in itertools.chain([name.unique_id], further) if unique not in taken)
        return str(replace(name, unique_id=free))

    def has_images(self, row: ObjectRow) -> bool:
        """Return whether photographs are linked to an object."""
        sql = "SELECT EXISTS (SELECT 1 FROM views WHERE museum = ? AND object_id = ?)"
        return bool(self._db.execute(sql, (row.museum, row.object_id)).fetchone()[0])

    def images(
        self, museum: str, state: ImageState, classes: tuple[str, ...] | None, after: int, limit: int
    ) -> list[ImageRow]:
        """Return the next photographs in a state, by id; ``classes`` None means all classes."""
        rows = self._db.execute(
            "SELECT id, url, class, stem, attempts, file, sha256, etag, last_modified FROM images "
            "WHERE museum = ?1 AND state = ?2 AND id > ?4 "
            "AND (?3 IS NULL OR class IN (SELECT value FROM json_each(?3))) ORDER BY id LIMIT ?5",
            (museum, state, classes and json.dumps(classes), after, limit),
        )
        return [ImageRow(*row) for row in rows]

    def mark_writing(self, image: ImageRow, file: StoredFile) -> None:
        """Record that a validated file is about to be renamed to its final name."""
        self._db.execute(
            f"UPDATE images SET state = 'writing', error = NULL, updated = ?, "  # noqa: S608
            f"{', '.join(f'{name} = ?' for name in _STORED)} WHERE id = ?",
            (time.time(), *(getattr(file, name) for name in _STORED), image.id),
        )

    def finish_image(
        self, image: ImageRow, state: ImageState, error: str | None = None, attempts: int = 1
    ) -> None:
        """Set the state of a photograph."""
        self._db.execute(
            "UPDATE images SET state = ?, error = ?, attempts = attempts + ?, updated = ? WHERE id = ?",
            (state, error and _reason(error), attempts, time.time(), image.id),
        )

    def rename_image(self, image: ImageRow, object_id: str, file: str | None) -> None:
        """Set the object, class and file name of a photograph."""
        self._db.execute(
            "UPDATE images SET object_id = ?, class = ?, stem = ?, file = ? WHERE id = ?",
            (object_id, image.class_name, image.stem, file, image.id),
        )

    def reset_failures(self, museum: str) -> int:
        """Queue everything of a museum that has failed; return how many objects and photographs there are.

        An object excluded by its own record stays refused: the same record would exclude it again, and
        changed records are found with ``since``.
        """
        objects = self._db.execute(
            "UPDATE objects SET state = CASE WHEN class IS NULL THEN 'listed' ELSE 'changed' END, "
            "attempts = 0, error = NULL, raw = NULL "
            "WHERE museum = ? AND (state IN ('failed', 'gone') OR state = 'refused' AND raw IS NULL)",
            (museum,),
        ).rowcount
        images = self._db.execute(
            "UPDATE images SET state = 'wanted', attempts = 0, error = NULL "
            "WHERE museum = ? AND state IN ('failed', 'gone', 'refused')",
            (museum,),
        ).rowcount
        return objects + images


def _reason(error: str) -> str:
    """Return a reason that can be stored: it may contain arbitrary text from a server."""
    return storable(error)[:_MAX_REASON]


def _rank(seed: int, object_id: str) -> int:
    digest = hashlib.blake2b(f"{seed}:{object_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1  # SQLite's integers are signed


def unpacked(raw: bytes) -> bytes:
    """Return a record as it was stored.

    Raises:
        CollectionError: It is damaged, or larger than a record can be.
    """
    try:
        return inflate(raw, _LARGEST_RECORD)
    except (TooLargeError, zlib.error) as error:
        raise CollectionError(f"a record is damaged ({error})", where="the ledger", remedy=REMEDY) from error
