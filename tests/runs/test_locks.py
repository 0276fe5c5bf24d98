"""Two commands never share a run folder."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, tzinfo
from pathlib import Path

import pytest
from omegaconf import OmegaConf

import heritage as package
from heritage.core.locks import locked
from heritage.errors import BusyError, CheckpointError
from heritage.runs.files import LOCK_FILE
from heritage.runs.locks import create_free_folder, run_locked
from tests.conftest import Command


@pytest.fixture
def same_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start every command at the same time."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Clock:
            return cls(2026, 11, 28, 4, 6, 33, tzinfo=tz)

    monkeypatch.setattr("hydra.core.utils.datetime", Clock)


@pytest.mark.usefixtures("same_second")
def test_runs_that_start_in_the_same_second_have_separate_folders(
    heritage: Command, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    for seed in (0, 1):
        assert heritage("train", *tiny, f"seed={seed}").code == 0
    day = tmp_path / "outputs" / "train" / "2026-11-28"
    name = "04-06-33_photographs_resnet10t_none"
    assert sorted(path.name for path in day.iterdir()) == [name, f"{name}-2"]
    for folder, seed in ((name, 0), (f"{name}-2", 1)):
        assert OmegaConf.load(day / folder / "config.yaml").seed == seed
        assert f"seed={seed}" in OmegaConf.load(day / folder / ".hydra" / "overrides.yaml")


@pytest.mark.usefixtures("same_second")
def test_configurations_composed_in_the_same_second_have_separate_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folders = [package.compose("train", seed=seed).paths.run for seed in range(3)]
    assert len(set(folders)) == 3
    assert list(tmp_path.iterdir()) == []
    given = package.compose("train", ["hydra.run.dir=mine"]).paths.run
    assert given == package.compose("train", ["hydra.run.dir=mine"]).paths.run == str(tmp_path / "mine")


def test_a_free_folder_is_given_to_one_process_only(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        folders = list(threads.map(create_free_folder, [tmp_path / "a" / "run"] * 40))
    assert len(set(folders)) == 40


@pytest.mark.parametrize("key", ["hydra.run.dir", "paths.run", "resume"])
def test_a_run_folder_in_use_is_refused_and_left_as_it_is(
    heritage: Command, tiny: tuple[str, ...], tmp_path: Path, key: str
) -> None:
    folder = tmp_path / "run"
    with locked(folder / LOCK_FILE):
        done = heritage("train", *tiny, f"{key}={folder}")
    assert done.code == 2
    assert done.err.splitlines()[-1].startswith(f"heritage train: {folder}: in use by another process")
    assert {path.name for path in folder.iterdir()} <= {LOCK_FILE, "train.log"}


@pytest.mark.parametrize(
    ("verb", "words"),
    [("evaluate", ["ckpt=some.ckpt"]), ("explain", ["ckpt=some.ckpt"]), ("compare", ["runs=none"])],
)
def test_a_report_folder_in_use_is_refused(
    heritage: Command, tmp_path: Path, verb: str, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("some.ckpt").touch()
    monkeypatch.setattr("heritage.comparison.runs.find_runs", lambda folders: [])
    monkeypatch.setattr("heritage.runs.read_predictions.unfinished", lambda folders: [])
    with locked(tmp_path / "report" / LOCK_FILE):
        done = heritage(verb, *words, f"hydra.run.dir={tmp_path / 'report'}")
    assert done.code == 2
    assert "in use by another process" in done.err
    assert not (tmp_path / "report" / ".hydra").exists()


def test_python_and_the_command_line_share_the_lock(tiny: tuple[str, ...], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    words = [*tiny, f"hydra.run.dir={folder}"]
    early, late = (package.build(package.compose("train", words)) for _ in range(2))
    with locked(folder / LOCK_FILE):
        with pytest.raises(BusyError, match="in use by another process"):
            package.run("train", *words, quiet=True)
        with pytest.raises(BusyError, match="in use by another process"):
            early.fit()
    early.fit()
    with locked(folder / LOCK_FILE), pytest.raises(BusyError, match="in use by another process"):
        early.report()
    with pytest.raises(CheckpointError, match="already holds a run"):
        late.fit()
    with locked(folder / LOCK_FILE):
        pass  # released between the steps


def test_a_lock_is_shared_by_nested_blocks_but_not_by_threads(tmp_path: Path) -> None:
    refused: list[str] = []

    def other() -> None:
        try:
            with run_locked(tmp_path):
                pass
        except BusyError as error:
            refused.append(error.what)

    with run_locked(tmp_path):
        with run_locked(tmp_path / "."):
            pass
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert len(refused) == 1
    with locked(tmp_path / LOCK_FILE):
        pass


@pytest.mark.parametrize("rank", ["RANK", "LOCAL_RANK", "SLURM_PROCID", "SUBMITIT_LOCAL_GLOBALID"])
def test_other_ranks_share_the_lock_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rank: str
) -> None:
    with locked(tmp_path / LOCK_FILE):
        monkeypatch.setenv(rank, "1")
        with run_locked(tmp_path):
            pass
        monkeypatch.setenv(rank, "0")
        with pytest.raises(BusyError), run_locked(tmp_path):
            pass


def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, sys; from heritage.core.locks import FileLock; "
        "FileLock(pathlib.Path(sys.argv[1])); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / LOCK_FILE)], check=False)
    assert done.returncode == -9
    with run_locked(tmp_path):
        pass
