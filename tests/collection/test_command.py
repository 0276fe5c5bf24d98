"""The command line of `heritage collect`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from heritage import collect
from heritage.core.manifest import Manifest
from tests.collection.runs import rows

SMALL = ["source.images=60", "source.picture_size=48", "min_side=32"]


def run(monkeypatch: pytest.MonkeyPatch, folder: Path, *words: str) -> int:
    """Run the command in this process and return its exit code."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["collect", "paths.outputs=out", *words])
    try:
        collect.main()
    except SystemExit as leaving:
        return int(leaving.code or 0)
    return 0


def test_the_demo_museum_is_collected_from_the_command_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, tmp_path, "source=demo", *SMALL) == 0
    folder = tmp_path / "out" / "collections" / "demo"
    manifest = Manifest.read(folder)
    assert all(manifest.counts().values())
    assert {path.name for path in tmp_path.iterdir()} == {"out"}, "Hydra left something behind"
    assert run(monkeypatch, tmp_path, "source=demo", "--report", *SMALL) == 0
    assert "met-egyptian" in capsys.readouterr().out


WRONG = {
    "no contact": ([], "source.contact: no value"),
    "terms": (["source=louvre"], "source.accept_terms=true"),
    "unknown class": (["source=demo", "classes=[egyptain]"], "did you mean egyptian?"),
    "unknown key": (["source=demo", "limt=3"], "did you mean 'limit'?"),
    "unknown collection": (["collection=thesys"], "did you mean 'thesis'?"),
    "wrong values": (["source=demo", "limit=0", "size=huge"], "size=huge: should be 'web' or 'original'"),
    "unwritable folder": (["source=demo", "folder=/dev/null/x"], "cannot be written"),
    "no dump": (["--report=none.csv"], "cannot be read"),
    "nothing collected": (["--report"], "nothing has been collected yet"),
    "no such class here": (
        ["source=demo", "collection=thesis", "classes=[islam]"],
        "collection=thesis: no rule",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_invalid_input_is_reported_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    words, message = WRONG[name]
    assert run(monkeypatch, tmp_path, *words) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err
    assert all(line.startswith("heritage collect: ") for line in captured.err.splitlines())


def test_a_newer_ledger_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import sqlite3

    folder = tmp_path / "out" / "collections" / "demo"
    folder.mkdir(parents=True)
    with sqlite3.connect(folder / "ledger.sqlite") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    assert run(monkeypatch, tmp_path, "source=demo", *SMALL) == 2
    assert "schema version 99" in capsys.readouterr().err


def test_no_museum_is_imported_for_help() -> None:
    code = (
        "import sys, heritage.collect; print([m for m in sys.modules if m in ('httpx', 'pyarrow', 'torch')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout.strip() == "[]"


def test_a_dry_run_leaves_ids_and_nothing_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run(monkeypatch, tmp_path, "source=demo", "dry_run=true", *SMALL)
    folder = tmp_path / "out" / "collections" / "demo"
    assert set(rows(folder, "SELECT state, raw FROM objects")) == {("listed", None)}
