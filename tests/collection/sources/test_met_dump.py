"""The Met's dump: objects selected without a request."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from heritage.collection.record import Record, RecordError
from heritage.collection.sources.met import MetSource
from heritage.demo.server import Response, serve
from heritage.errors import ConfigError
from tests.collection.recorded import FIXTURES, recorded, recording, source
from tests.collection.runs import printed, rows, rules, session


def test_the_dump_selects_ids_without_a_request(tmp_path: Path) -> None:
    dump = FIXTURES / "met" / "MetObjects.csv"
    requested: list[str] = []
    with serve(recording(recorded({}), requested)) as base:
        run = session(source("met", base, csv=str(dump)), tmp_path, classes=["byzantium"], dry_run=True)
        run.collect()
        assert requested == []
        report = session(source("met", base), tmp_path, report=str(dump))
        report.report()
    listed = {object_id for (object_id,) in rows(tmp_path, "SELECT object_id FROM objects")}
    import csv

    with dump.open(encoding="utf-8-sig", newline="") as file:
        expected = {
            row["Object ID"]
            for row in csv.DictReader(file)
            if row["Is Public Domain"] == "True"
            and row["Department"] in ("Medieval Art", "The Cloisters")
            and row["Culture"] == "Byzantine"
        }
    assert listed == expected
    assert expected
    text = printed(report)
    assert re.search(rf"byzantium +│ met-byzantine +│ {len(expected)} ", text)
    assert "unmapped (no rule matches)" in text
    assert "not in the public domain" in text


def test_a_dump_and_a_museums_lists_take_over_each_others_objects(tmp_path: Path) -> None:
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
    # Objects that the dump does not have wait until the museum lists them again.
    assert listed("") == of_museum - both


def test_only_the_ids_of_a_file_are_collected(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("447006\n321412\n")
    with serve(recorded({})) as base:
        museum = source("met", base)
        session(museum, tmp_path, classes=["islam"], dry_run=True).collect()
        session(museum, tmp_path, ids=tmp_path / "ids.txt").collect()
        read = {i for (i,) in rows(tmp_path, "SELECT object_id FROM objects WHERE state != 'listed'")}
        assert read == {"447006", "321412"}
        requested = dict(rows(tmp_path, "SELECT key, value FROM meta WHERE key LIKE 'asked:%'"))
        assert set(requested) == {"asked:MET:department:14"}, "since=last would not know since when"


def test_other_files_than_a_dump_are_reported(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    for path, reason in (
        (tmp_path / "x.csv", "no column 'Object ID'"),
        (tmp_path / "none.csv", "cannot be read"),
    ):
        with pytest.raises(ConfigError, match=reason):
            session(source("met"), tmp_path, report=str(path)).report()


def test_ctrl_c_while_a_dump_is_read_stops_quickly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dump = tmp_path / "MetObjects.csv"
    line = "{},True,Islamic Art,,,,\n"
    head = "Object ID,Is Public Domain,Department,Culture,Period,Object Begin Date,Object End Date\n"
    dump.write_text(head + "".join(line.format(number) for number in range(5_000)))
    read = 0

    def counted(self: MetSource, row: dict[str, str]) -> Record | RecordError:
        nonlocal read
        read += 1
        if read == 700:
            os.kill(os.getpid(), signal.SIGINT)
        return one(self, row)

    one = MetSource._row
    monkeypatch.setattr(MetSource, "_row", counted)
    with (
        serve(lambda _: Response(404, b"")) as base,
        pytest.raises(KeyboardInterrupt, match="the same command"),
    ):
        session(source("met", base, csv=str(dump)), tmp_path / "in").collect()
    assert read <= 2_000, "some stretches of rows, not all"
    monkeypatch.setattr(MetSource, "_row", one)
    with serve(lambda _: Response(404, b"")) as base:
        session(source("met", base, csv=str(dump)), tmp_path / "in", dry_run=True).collect()
    assert rows(tmp_path / "in", "SELECT count(*) FROM objects") == [(5_000,)]


def test_since_is_refused_if_changes_are_not_listed(tmp_path: Path) -> None:
    dump = str(FIXTURES / "met" / "MetObjects.csv")
    with serve(lambda _: Response(404, b"")) as base:
        with pytest.raises(ConfigError, match="ids from a file cannot be filtered by date"):
            session(source("met", base, csv=dump), tmp_path, since="last").collect()
        with pytest.raises(ConfigError, match="LOUVRE does not list changed objects"):
            session(
                source("louvre", base, accept_terms=True), tmp_path, rules=rules("thesis"), since="last"
            ).collect()


@pytest.mark.parametrize("separator", [",", ";"])
@pytest.mark.parametrize(
    ("public", "begin", "end"),
    [("TRUE", "-1500", "-1400"), ("True", "-1500.0", "-1400.0"), (" true", "-1500", "-1400.0")],
)
def test_a_dump_that_a_spreadsheet_or_pandas_saved(
    tmp_path: Path, separator: str, public: str, begin: str, end: str
) -> None:
    head = "Is Public Domain,Object ID,Department,Object Name,Object Begin Date,Object End Date\n"
    lines = [f"{public},{number},Egyptian Art,Bowl,{begin},{end}\n" for number in range(1, 6)]
    lines += [f"{no},{number},Egyptian Art,Bowl,1,2\n" for number, no in enumerate(("FALSE", "", "1"), 6)]
    (tmp_path / "dump.csv").write_text((head + "".join(lines)).replace(",", separator), encoding="utf-8-sig")
    found = dict(source("met").dump(tmp_path / "dump.csv"))
    records = [found[str(number)] for number in range(1, 6)]
    assert all(isinstance(one, Record) for one in records)
    assert {(one.begin_year, one.end_year) for one in records if isinstance(one, Record)} == {(-1500, -1400)}
    assert str(found["6"]) == "not in the public domain"
    assert str(found["7"]) == "'Is Public Domain' is neither true nor false ('')"
    assert str(found["8"]) == "'Is Public Domain' is neither true nor false ('1')"


def test_the_pointer_of_a_clone_without_lfs_is_named(tmp_path: Path) -> None:
    dump = tmp_path / "MetObjects.csv"
    dump.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 317000000\n")
    with pytest.raises(ConfigError, match=r"a Git LFS pointer and not the table; run `git lfs pull`"):
        session(source("met"), tmp_path, report=str(dump)).report()
