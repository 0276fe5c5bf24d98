"""Check a ledger before it is used: it is a file of the user's, may have been edited, and names files."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

from heritage.collection.ledger_rows import ImageState, ObjectState
from heritage.errors import CollectionError

REMEDY = "restore ledger.sqlite from a copy, or collect into another folder"

_TYPES = {
    "meta": {"key": "text", "value": "text"},
    "objects": {
        "museum": "text", "object_id": "text", "listing": "text", "rank": "integer", "state": "text",
        "attempts": "integer", "error": "text null", "listed": "real", "updated": "real",
        "class": "text null", "rule": "text null", "fields": "text null", "raw": "blob null",
    },
    "images": {
        "id": "integer", "url": "text", "museum": "text", "object_id": "text", "class": "text",
        "stem": "text", "credit": "text null", "state": "text", "attempts": "integer", "error": "text null",
        "updated": "real", "file": "text null", "sha256": "text null", "bytes": "integer null",
        "width": "integer null", "height": "integer null", "etag": "text null", "last_modified": "text null",
    },
    "views": {"museum": "text", "object_id": "text", "position": "integer", "image": "integer"},
}  # fmt: skip
"""Columns, and the types that SQLite may report for their values."""


def _one_of(column: str, states: type[ObjectState] | type[ImageState]) -> str:
    return f"{column} IN ({', '.join(repr(str(state)) for state in states)})"


_RULES = {
    "meta": (),
    "objects": (
        _one_of("state", ObjectState),
        "(state NOT IN ('labelled', 'spare') OR class IS NOT NULL AND fields IS NOT NULL)",
        "(fields IS NULL OR json_valid(fields))",
    ),
    "images": (
        _one_of("state", ImageState),
        # The collector's own names: CLASSID_MUSEUM_UNIQUEID.jpg in one folder.
        "stem GLOB '[0-9]*_?*_?*'",
        "stem NOT GLOB '*[/\\]*'",
        "(file IS NULL OR file GLOB 'images/?*.?*' AND substr(file, 8) NOT GLOB '*[/\\]*')",
        "instr(stem || coalesce(file, ''), char(0)) = 0",
        *(
            f"(state NOT IN ('stored', 'writing', 'superseded') OR {name} BETWEEN 0 AND 2147483647)"
            for name in ("bytes", "width", "height")
        ),
        "(state NOT IN ('stored', 'writing', 'superseded') OR file IS NOT NULL AND sha256 IS NOT NULL)",
    ),
    "views": (),
}
"""Conditions that each row fulfils."""


def check_ledger(db: sqlite3.Connection, path: Path) -> None:
    """Check the tables of a ledger, and the types and values of all rows, in one pass over each table.

    Args:
        db: The open ledger.
        path: Its file, for messages.

    Raises:
        CollectionError: A table, column or value is not one that the collector writes.
        sqlite3.Error: The file is damaged.
    """
    for kind, name in db.execute("SELECT type, name FROM sqlite_master WHERE type IN ('trigger', 'view')"):
        raise CollectionError(f"the ledger has a {kind}, '{name}'", where=path, remedy=REMEDY)
    for table, types in _TYPES.items():
        columns = [row[0] for row in db.execute("SELECT name FROM pragma_table_info(?)", (table,))]
        if columns != list(types):
            raise CollectionError(f"the ledger's table '{table}' is not complete", where=path, remedy=REMEDY)
        conditions = (*map(_type_condition, types.items()), *_RULES[table])
        if _wrong_row(db, table, " AND ".join(conditions)) is None:
            continue
        for condition in conditions:
            row = _wrong_row(db, table, condition)
            if row is not None:
                raise CollectionError(
                    f"the ledger's table '{table}' has a row that the collector did not write "
                    f"({row[:60]}: not {condition})",
                    where=path,
                    remedy=REMEDY,
                )


def _type_condition(column: tuple[str, str]) -> str:
    name, types = column
    return f"typeof({name}) IN ({', '.join(repr(one) for one in types.split())})"


def _wrong_row(db: sqlite3.Connection, table: str, condition: str) -> str | None:
    """Return the key of a row that does not fulfil a condition, or None."""
    key = "key" if table == "meta" else "id" if table == "images" else "object_id"
    sql = f"SELECT quote({key}) FROM {table} WHERE NOT ({condition}) LIMIT 1"  # noqa: S608
    row = db.execute(sql).fetchone()
    return None if row is None else f"{key} {row[0]}"


def parsed(text: str | bytes, what: str) -> Any:
    """Parse JSON that the ledger stores.

    Raises:
        CollectionError: It is damaged.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CollectionError(f"{what} is damaged ({error})", where="the ledger", remedy=REMEDY) from error


def ledger_error(error: sqlite3.Error | UnicodeDecodeError, where: str | Path) -> CollectionError:
    """Return the error of a ledger that cannot be read or written, with the remedy for its cause."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
    remedy = {
        sqlite3.SQLITE_FULL: "make room on the disk",
        sqlite3.SQLITE_IOERR: "check the disk and its free space",
        sqlite3.SQLITE_BUSY: "close the program that has it open",
        sqlite3.SQLITE_LOCKED: "close the program that has it open",
        sqlite3.SQLITE_READONLY: "make the folder writable, or set folder=…",
        sqlite3.SQLITE_PERM: "make the folder writable, or set folder=…",
        sqlite3.SQLITE_CANTOPEN: "make the folder writable, or set folder=…",
    }.get(code, REMEDY)
    return CollectionError(f"cannot be used ({error})", where=where, remedy=remedy)
