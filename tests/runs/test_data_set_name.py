"""The name of a data set in the name of a run folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from heritage.errors import CheckpointError
from heritage.runs.checkpoints import newest_run
from heritage.runs.data_set_name import data_set_title, name_of_folder


@pytest.mark.parametrize(
    ("root", "name"),
    [
        ("outputs/data/mine", "mine"),
        ("Données (1)/tab=é, 'x'", "tab-é-x"),
        ("/data/met-ceramics/", "met-ceramics"),
        ("陶器", "陶器"),
        ("...", "data"),
        ("/", "data"),
        ("a" * 100, "a" * 40),
        ("${oc.env:HOME}", "oc.env-HOME"),
    ],
)
def test_the_name_is_one_part_of_a_path(root: str, name: str) -> None:
    assert name_of_folder(root) == name


@pytest.mark.parametrize(
    ("option", "root", "title"),
    [("folder", "outputs/data/mine", "mine"), ("class_folders", "Données (1)/my vases", "my vases"),
     ("demo", "outputs/data/demo", "demo"), ("table", None, "table"), (None, "x/y", "y"),
     (None, "/", "data")],
)  # fmt: skip
def test_readers_see_the_name_of_the_folder(option: str | None, root: str | None, title: str) -> None:
    assert data_set_title(option, root) == title


def test_the_newest_run_is_that_of_the_newest_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no trained network below this folder"):
        newest_run(tmp_path)
    for name in ("2026-01-02/b", "2026-01-01/a"):
        (tmp_path / name / "checkpoints").mkdir(parents=True)
        (tmp_path / name / "checkpoints" / "best.ckpt").write_bytes(b"x")
    os.utime(tmp_path / "2026-01-02/b/checkpoints/best.ckpt", (1, 1))
    assert newest_run(tmp_path) == tmp_path / "2026-01-01/a"
