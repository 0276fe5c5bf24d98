"""Results and paths that a program gives: the right ones work, and the wrong ones are one line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

import heritage
from heritage.core.console import Console
from heritage.errors import ArgumentError, CheckpointError, ConfigError, ImageError
from tests.conftest import TINY


def test_a_result_needs_its_folder(tmp_path: Path) -> None:
    assert heritage.RunResult("train", str(tmp_path)).folder == tmp_path  # type: ignore[arg-type]
    assert heritage.RunResult("serve", None).metrics == {}
    for folder, line in (
        ("a string", "folder=a string: no such folder; give"),
        ("", "folder=: an empty path"),
    ):
        with pytest.raises(CheckpointError, match=line):
            heritage.RunResult("train", folder)  # type: ignore[arg-type]
    wrong: Any = 3
    with pytest.raises(ArgumentError, match="folder: a folder is a path, not a int"):
        heritage.RunResult("train", wrong)


def test_a_result_can_be_loaded(run_folder: Path) -> None:
    loaded = heritage.load(heritage.RunResult("train", run_folder))
    assert loaded.classes == heritage.load(run_folder).classes
    with pytest.raises(ArgumentError, match="ckpt: a path is a string or a Path, not a RunResult"):
        heritage.load(heritage.RunResult("serve", None))


def test_empty_paths_are_named(run_folder: Path) -> None:
    with pytest.raises(ConfigError, match="ckpt='': an empty path; give a run folder or a checkpoint"):
        heritage.load("")
    with pytest.raises(ImageError, match="image='': an empty path; give the path of an image"):
        heritage.load(run_folder).predict("")


def test_a_folder_that_cannot_be_made_is_the_line_of_the_command(tree: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"^/proc/x: no such file or folder, and it cannot be created; finish"
    ):
        heritage.run("train", *TINY, data__root=tree, paths__run="/proc/x", quiet=True)


def test_a_multirun_has_the_results_of_its_finished_runs(tmp_path: Path) -> None:
    for name, accuracy in (("seed=1", 0.75), ("seed=0", 0.5)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.json").write_text(f'{{"accuracy": {accuracy}}}')
    (tmp_path / "seed=2").mkdir()
    result = heritage.RunResult("train", tmp_path)
    assert list(result.runs) == ["seed=0", "seed=1"]
    assert result.runs["seed=1"].metrics["accuracy"] == 0.75
    assert result.runs["seed=1"].runs == {}
    assert heritage.RunResult("serve", None).runs == {}


def test_commands_print_text_in_notebooks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    Console().print("one line", style="bold")
    assert capsys.readouterr().out == "one line\n"
    assert not Console(stderr=True).is_terminal
