"""The ledger: what is known of each object and photograph, in one SQLite file that survives any crash.

Every change is a transaction of its own in write-ahead mode, so a killed collector loses at most the
request it was making. The ledger is the queue too: what is to be done next is read from it in pages,
and memory does not grow with the number of objects.
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

from heritage.collection.ledger_rows import ImageRow, ImageState, ObjectRow, ObjectState, StoredFile
from heritage.collection.record import Photograph, Record, storable
from heritage.collection.rules import LabelDecision
from heritage.collection.sources.source import Listed
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

_LONGEST_REASON = 500

_KEPT = tuple(field.name for field in fields(Record) if field.name != "photographs")
_STORED = tuple(field.name for field in fields(StoredFile))

_KNOWN = "DO UPDATE SET listing = excluded.listing WHERE listing = ''"
_ANEW = """
DO UPDATE SET state = CASE WHEN state IN ('labelled', 'changed') THEN 'changed' ELSE 'listed' END,
    class = CASE WHEN state IN ('labelled', 'changed') THEN class END,
    attempts = 0, error = NULL, updated = excluded.updated, raw = excluded.raw
"""


class Ledger:
    """A collection's ledger.

    Args:
        path: The file; it is made where it does not exist.

    Raises:
        CollectionError: It cannot be opened, or a newer program made it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._db = sqlite3.connect(path, isolation_level=None, timeout=30)
            self._db.execute("PRAGMA journal_mode=WAL")
            # In write-ahead mode a killed process loses nothing; a power cut may lose the last
            # transactions, never the file, and files without a ledger entry are fetched again.
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._open_schema()
        except sqlite3.Error as error:
            raise CollectionError(
                f"the ledger cannot be opened ({error})",
                where=path,
                remedy="check the folder's rights and space",
            ) from error

    def _open_schema(self) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            self._db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
        elif version != SCHEMA_VERSION:
            raise CollectionError(
                f"the ledger has schema {version}, this program knows {SCHEMA_VERSION}",
                where=self.path,
                remedy="use the version of heritage that made it, or another folder",
            )
        self._db.execute("CREATE INDEX IF NOT EXISTS images_of_object ON images (museum, object_id)")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def get(self, key: str) -> str | None:
        """Return a remembered value."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def put(self, key: str, value: str) -> None:
        """Remember a value."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def forget(self, beginning: str) -> None:
        """Forget all values whose keys begin so."""
        self._db.execute("DELETE FROM meta WHERE substr(key, 1, length(?1)) = ?1", (beginning,))

    def query(self, sql: str, parameters: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        """Run a question of a report's own."""
        yield from self._db.execute(sql, parameters)

    def list_objects(
        self, museum: str, listing: str, items: Iterable[Listed], *, seed: int, again: bool = False
    ) -> int:
        """Add objects that a museum lists.

        Args:
            museum: Its code.
            listing: The part of it that was listed.
            items: The objects; known ones stay as they are, in the listing that named them first.
            seed: Orders the objects: the first of a shuffled list stand for all of it.
            again: Known objects are to be fetched again (they changed).

        Returns:
            How many are new to the listing or to be fetched again.
        """
        now = time.time()
        sql = (
            "INSERT INTO objects (museum, object_id, listing, rank, state, listed, updated, raw) "
            "VALUES (?, ?, ?, ?, 'listed', ?, ?, ?) ON CONFLICT "
        ) + (_ANEW if again else _KNOWN)
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
        """Take the objects of which no photograph is wanted yet out of their listings, for others to name."""
        self._db.execute(
            "UPDATE objects SET listing = '' WHERE museum = ? AND state IN ('listed', 'spare')", (museum,)
        )

    def to_read(
        self, museum: str, listing: str, state: ObjectState, class_name: str | None, after: int, most: int
    ) -> list[ObjectRow]:
        """Return the next objects of a listing in a state, in their shuffled order."""
        rows = self._db.execute(
            "SELECT museum, object_id, listing, rank, raw FROM objects "
            "WHERE museum = ? AND state = ? AND listing = ? AND class IS ? AND rank > ? "
            "ORDER BY rank LIMIT ?",
            (museum, state, listing, class_name, after, most),
        )
        return [ObjectRow(m, i, where, rank, raw and zlib.decompress(raw)) for m, i, where, rank, raw in rows]

    def to_read_again(self, museum: str, after: int, most: int) -> list[ObjectRow]:
        """Return the next objects whose photographs are in the collection and whose records changed."""
        rows = self._db.execute(
            "SELECT museum, object_id, listing, rank, raw FROM objects "
            "WHERE museum = ? AND state = 'changed' AND rank > ? ORDER BY rank LIMIT ?",
            (museum, after, most),
        )
        return [ObjectRow(m, i, where, rank, raw and zlib.decompress(raw)) for m, i, where, rank, raw in rows]

    def keep_raw(self, row: ObjectRow, raw: bytes) -> None:
        """Keep a record as it came, before anything is read out of it."""
        self._db.execute(
            "UPDATE objects SET raw = ?, updated = ? WHERE museum = ? AND object_id = ?",
            (zlib.compress(raw, 3), time.time(), row.museum, row.object_id),
        )

    def end_object(self, row: ObjectRow, state: ObjectState, error: str, attempts: int = 0) -> None:
        """Record that nothing will come of an object, and why.

        One that was labelled before keeps its class and its photographs where its record merely could not be
        had this time.
        """
        self._db.execute(
            "UPDATE objects SET state = ?1, error = ?2, attempts = attempts + ?3, updated = ?4, "
            "class = CASE WHEN ?1 = 'failed' AND state = 'changed' THEN class END "
            "WHERE museum = ?5 AND object_id = ?6",
            (state, _reason(error), attempts, time.time(), row.museum, row.object_id),
        )

    def unlabel_unread(self, museum: str, classes: tuple[str, ...]) -> None:
        """Take classes that are no more from objects whose record is still to be fetched again."""
        self._db.execute(
            "UPDATE objects SET class = NULL WHERE museum = ? AND state IN ('changed', 'failed') "
            "AND class NOT IN (SELECT value FROM json_each(?))",
            (museum, json.dumps(classes)),
        )

    def judge(
        self,
        row: ObjectRow,
        record: Record,
        verdict: LabelDecision,
        *,
        spare: bool,
        photographs: Iterable[tuple[str, Photograph]] | None = None,
    ) -> int:
        """Record what the rules say of an object, and which photographs of it are wanted.

        Args:
            row: The object.
            record: What its record says.
            verdict: What the rules say.
            spare: It is labelled, but its class has no room.
            photographs: File stems and photographs, the best first; those that no other object shows
                are to be fetched. None leaves the links as they are.

        Returns:
            How many photographs are new.
        """
        state = ObjectState.SPARE if spare else ObjectState(verdict.outcome)
        plain = {name: getattr(record, name) for name in _KEPT}
        key = (row.museum, row.object_id)
        with self._transaction():
            self._db.execute(
                "UPDATE objects SET state = ?, error = NULL, attempts = 0, updated = ?, class = ?, rule = ?, "
                "fields = ? WHERE museum = ? AND object_id = ?",
                (
                    state,
                    time.time(),
                    verdict.class_name,
                    verdict.rule,
                    json.dumps(plain, ensure_ascii=False),
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
                self._link(key, str(verdict.class_name), position, stem, photo)
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
        """Return a file stem for a photograph of an object that none of its others has, in any class.

        A record may put a new photograph before one that is stored under the first number already.
        """
        rows = self._db.execute(
            "SELECT stem FROM images WHERE museum = ? AND object_id = ?", (museum, object_id)
        )
        taken = {parse_image_name(str(row[0])).unique_id for row in rows}
        name = parse_image_name(stem)
        further = (f"{object_id}-{number}" for number in itertools.count(2))
        free = next(unique for unique in itertools.chain([name.unique_id], further) if unique not in taken)
        return str(replace(name, unique_id=free))

    def is_linked(self, row: ObjectRow) -> bool:
        """Tell whether an object has photographs already."""
        question = "SELECT EXISTS (SELECT 1 FROM views WHERE museum = ? AND object_id = ?)"
        return bool(self._db.execute(question, (row.museum, row.object_id)).fetchone()[0])

    def images(
        self, museum: str, state: ImageState, classes: tuple[str, ...] | None, after: int, most: int
    ) -> list[ImageRow]:
        """Return the next photographs in a state, by id; of some classes, or of all with None."""
        rows = self._db.execute(
            "SELECT id, url, class, stem, attempts, file, sha256, etag, last_modified FROM images "
            "WHERE museum = ?1 AND state = ?2 AND id > ?4 "
            "AND (?3 IS NULL OR class IN (SELECT value FROM json_each(?3))) ORDER BY id LIMIT ?5",
            (museum, state, classes and json.dumps(classes), after, most),
        )
        return [ImageRow(*row) for row in rows]

    def writing(self, image: ImageRow, file: StoredFile) -> None:
        """Record that a verified file is about to be renamed into place."""
        self._db.execute(
            f"UPDATE images SET state = 'writing', error = NULL, updated = ?, "  # noqa: S608
            f"{', '.join(f'{name} = ?' for name in _STORED)} WHERE id = ?",
            (time.time(), *(getattr(file, name) for name in _STORED), image.id),
        )

    def end_image(
        self, image: ImageRow, state: ImageState, error: str | None = None, attempts: int = 1
    ) -> None:
        """Record how a photograph ended."""
        self._db.execute(
            "UPDATE images SET state = ?, error = ?, attempts = attempts + ?, updated = ? WHERE id = ?",
            (state, error and _reason(error), attempts, time.time(), image.id),
        )

    def name_image(self, image: ImageRow, object_id: str, file: str | None) -> None:
        """Name a photograph after an object."""
        self._db.execute(
            "UPDATE images SET object_id = ?, class = ?, stem = ?, file = ? WHERE id = ?",
            (object_id, image.class_name, image.stem, file, image.id),
        )

    def try_failed_again(self, museum: str) -> int:
        """Forget all failures of a museum; returns how many there were.

        An object that its own record rules out stays refused: to ask for the same record again changes
        nothing, and what the museum changed comes with ``since``. One whose record was refused is asked for.
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
    """Return a reason as it can be kept: servers write into it what they like."""
    return storable(error)[:_LONGEST_REASON]


def _rank(seed: int, object_id: str) -> int:
    digest = hashlib.blake2b(f"{seed}:{object_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1  # SQLite's integers are signed
