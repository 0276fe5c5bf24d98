"""Ledgers that were edited, cut short or damaged: one line each, and no file outside of the collection."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from heritage.collection.ledger import LEDGER_FILE
from heritage.core.manifest import Manifest
from heritage.demo.museum import request_handler
from heritage.demo.server import serve
from heritage.errors import CollectionError
from tests.collection.demo_collection import API, COLLECTION, objects_of
from tests.collection.faults import FaultyMuseum, body
from tests.collection.runs import met, printed, rows, session


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A museum, and a collection of three of its photographs."""
    folder = tmp_path_factory.mktemp("start")
    with serve(FaultyMuseum(request_handler(COLLECTION))) as base:
        session(met(base), folder, classes=["islam"], limit=3).collect()
        yield base, folder


def edited(start: tuple[str, Path], folder: Path, *statements: str) -> Callable[[], None]:
    """Return a function that continues an edited copy of the collection."""
    shutil.copytree(start[1], folder, dirs_exist_ok=True)
    with contextlib.closing(sqlite3.connect(folder / LEDGER_FILE)) as db, db:
        for statement in statements:
            db.execute(statement)
    return session(met(start[0]), folder, classes=["islam"], limit=4).collect


RAW = {name: zlib.compress(text).hex() for name, text in {"text": b"x", "deep": b"[" * 100_000}.items()}
ROW = "a row that the collector did not write"
RECORD = "UPDATE objects SET raw = x'{}', state = 'listed'"
FIELDS = "UPDATE objects SET fields = {} WHERE fields IS NOT NULL"
BROKEN: dict[str, tuple[str, str]] = {
    "a file above": ("UPDATE images SET file = '../../../etc/x.jpg'", ROW),
    "a file below": ("UPDATE images SET file = 'images/../../x.jpg'", ROW),
    "an absolute file": ("UPDATE images SET file = '/etc/passwd'", ROW),
    "a superseded file": ("UPDATE images SET file = '../x.jpg', state = 'superseded'", ROW),
    "a file with NUL": ("UPDATE images SET file = 'images/a' || char(0) || '.jpg'", ROW),
    "bytes as a file": ("UPDATE images SET file = x'00ff'", ROW),
    "a stem above": ("UPDATE images SET stem = '4_MET_../../x', state = 'wanted'", ROW),
    "another stem": ("UPDATE images SET stem = 'nonsense'", ROW),
    "a state": ("UPDATE objects SET state = 'nonsense'", ROW),
    "a photograph's state": ("UPDATE images SET state = 5", ROW),
    "no class": ("UPDATE objects SET class = NULL", ROW),
    "another class": ("UPDATE objects SET class = 'maya' WHERE class IS NOT NULL", "the class 'maya'"),
    "no fields": ("UPDATE objects SET fields = NULL", ROW),
    "fields that are no JSON": (FIELDS.format("'{'"), ROW),
    "fields without an end": (FIELDS.format("printf('%.*c', 99999, '[')"), ROW),
    "fields as a list": (FIELDS.format("'[1]'"), "no valid 'credit'"),
    "a title as a number": (FIELDS.format("json_set(fields, '$.title', 5)"), "no valid 'title'"),
    "a year as text": (FIELDS.format("json_set(fields, '$.end_year', 'x')"), "no valid 'end_year'"),
    "a year beyond": (FIELDS.format("json_set(fields, '$.end_year', 99999999999)"), "no valid 'end_year'"),
    "a record as text": ("UPDATE objects SET raw = 'x', state = 'listed'", ROW),
    "a damaged record": (RECORD.format("00"), "a record is damaged"),
    "another record": (RECORD.format(RAW["text"]), "record is damaged"),
    "a deep record": (RECORD.format(RAW["deep"]), "record is damaged"),
    "a width as text": ("UPDATE images SET width = 'x'", ROW),
    "a large width": ("UPDATE images SET width = 9000000000000000000", ROW),
    "bytes as a credit": ("UPDATE images SET credit = x'ff'", ROW),
    "a rank as text": ("UPDATE objects SET rank = 'x'", ROW),
    "a museum": ("INSERT INTO meta VALUES ('museum:X', '{')", "museum's description is damaged"),
    "a trigger": ("CREATE TRIGGER t AFTER UPDATE ON images BEGIN SELECT 1; END", "has a trigger, 't'"),
    "a missing table": ("DROP TABLE views", "'views' is not complete"),
    "a missing column": ("ALTER TABLE images DROP COLUMN etag", "'images' is not complete"),
    "no version": ("PRAGMA user_version = 0", "already exists"),
    "another version": ("PRAGMA user_version = 99", "schema version 99"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_an_edited_ledger_is_refused_in_one_line(start: tuple[str, Path], tmp_path: Path, name: str) -> None:
    statement, message = BROKEN[name]
    with pytest.raises(CollectionError, match=message) as error:
        edited(start, tmp_path / "in", statement)()
    assert "\n" not in str(error.value)
    assert "folder" in error.value.remedy
    assert {path.name for path in tmp_path.iterdir()} == {"in"}
    assert len(list((tmp_path / "in" / "images").iterdir())) >= 3


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE images SET etag = '\"caf\u00e9\"', last_modified = char(13, 10) || 'X: y'",
        "UPDATE images SET sha256 = '00'",
        "DELETE FROM meta",
        "DELETE FROM views",
        "UPDATE meta SET value = 'nonsense'",
    ],
)
def test_what_can_be_repaired_is(start: tuple[str, Path], tmp_path: Path, statement: str) -> None:
    edited(start, tmp_path, statement)()
    session(met(start[0]), tmp_path, classes=["islam"], limit=4, refresh=True).collect()
    assert len(Manifest.read(tmp_path)) >= 1


def damaged(data: bytes, seed: int) -> bytes:
    rng, noisy = random.Random(seed), bytearray(data)
    for _ in range(200):
        noisy[rng.randrange(100, len(noisy))] = rng.randrange(256)
    return bytes(noisy)


@pytest.mark.parametrize("seed", range(10))
def test_a_damaged_ledger_is_refused_in_one_line(start: tuple[str, Path], tmp_path: Path, seed: int) -> None:
    continued = edited(start, tmp_path)
    path = tmp_path / LEDGER_FILE
    data = path.read_bytes()
    cut = [data[: len(data) // 2], data[:99], b"text" * 99, data[:100] + bytes(len(data) - 100)]
    path.write_bytes(cut[seed] if seed < len(cut) else damaged(data, seed))
    with pytest.raises(CollectionError, match=r"ledger\.sqlite: (cannot be used|the ledger)") as error:
        continued()
    assert "restore ledger.sqlite" in error.value.remedy
    assert "\n" not in str(error.value)


def test_ids_that_are_none_are_counted(tmp_path: Path) -> None:
    museum = FaultyMuseum(request_handler(COLLECTION))
    first = objects_of("islam")[0]
    ids = [
        "../../../w/ESC",
        "..",
        int(first),
        -1,
        10**40,
        1.5,
        None,
        True,
        [1],
        "\ud800",
        "\u0661",
        "x" * 999,
    ]
    museum.always(API, body(json.dumps({"total": 1, "objectIDs": ids}).encode(), "application/json"))
    with serve(museum) as base:
        run = session(met(base), tmp_path, classes=["islam"])
        run.collect()
    assert "11 objects refused: not an object id of The Met" in printed(run)
    assert {path.name for path in (tmp_path / "images").iterdir()} == {f"4_MET_{first}.jpg"}
    assert rows(tmp_path, "SELECT max(length(object_id)) FROM objects") == [(100,)]
    assert [path for path in museum.requested if path.startswith(f"{API}/")] == [f"{API}/{first}"]
