"""The Met's dump: objects chosen without a request."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from heritage.demo.server import Reply, Request, serve
from heritage.errors import ConfigError
from tests.collection.recorded import FIXTURES, recorded, source
from tests.collection.runs import printed, rows, session


def test_the_dump_chooses_ids_without_a_request(tmp_path: Path) -> None:
    dump = FIXTURES / "met" / "MetObjects.csv"
    asked: list[str] = []
    answered = recorded({})

    def answer(request: Request) -> Reply:
        asked.append(request.path)
        return answered(request)

    with serve(answer) as base:
        run = session(source("met", base, csv=str(dump)), tmp_path, classes=["byzantium"], dry_run=True)
        run.collect()
        assert asked == []
        report = session(source("met", base), tmp_path, report=str(dump))
        report.report()
    listed = {object_id for (object_id,) in rows(tmp_path, "SELECT object_id FROM objects")}
    import csv

    with dump.open(encoding="utf-8-sig", newline="") as file:
        wanted = {
            row["Object ID"]
            for row in csv.DictReader(file)
            if row["Is Public Domain"] == "True"
            and row["Department"] in ("Medieval Art", "The Cloisters")
            and row["Culture"] == "Byzantine"
        }
    assert listed == wanted
    assert wanted
    text = printed(report)
    assert re.search(rf"byzantium +│ met-byzantine +│ {len(wanted)} ", text)
    assert "unmapped (no rule holds)" in text
    assert "not in the public domain" in text


def test_a_dump_takes_over_what_the_museum_listed_and_the_other_way_round(tmp_path: Path) -> None:
    dump = str(FIXTURES / "met" / "MetObjects.csv")

    def listed(kind: str) -> set[str]:
        return {i for (i,) in rows(tmp_path, "SELECT object_id FROM objects WHERE listing LIKE ?", kind)}

    with serve(recorded({})) as base:
        museum, from_dump = source("met", base), source("met", base, csv=dump)
        session(from_dump, tmp_path, dry_run=True).collect()
        of_dump = listed("csv:%")
        session(museum, tmp_path, dry_run=True).collect()
        of_museum = listed("department:%")
        both = of_museum & of_dump
        assert both
        session(from_dump, tmp_path, dry_run=True).collect()
    assert listed("csv:%") == of_dump
    # What the dump does not name waits for the museum's lists to name it again.
    assert listed("") == of_museum - both


def test_a_file_of_ids_is_collected_alone_whatever_was_listed_before(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("447006\n321412\n")
    with serve(recorded({})) as base:
        museum = source("met", base)
        session(museum, tmp_path, classes=["islam"], dry_run=True).collect()
        session(museum, tmp_path, ids=tmp_path / "ids.txt").collect()
        read = {i for (i,) in rows(tmp_path, "SELECT object_id FROM objects WHERE state != 'listed'")}
        assert read == {"447006", "321412"}
        asked = dict(rows(tmp_path, "SELECT key, value FROM meta WHERE key LIKE 'asked:%'"))
        assert set(asked) == {"asked:MET:department:14"}, "since=last would not know since when"


def test_what_is_no_dump_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    for path, reason in (
        (tmp_path / "x.csv", "no column 'Object ID'"),
        (tmp_path / "none.csv", "cannot be read"),
    ):
        with pytest.raises(ConfigError, match=reason):
            session(source("met"), tmp_path, report=str(path)).report()
