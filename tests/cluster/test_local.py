"""Local jobs: an array, and two processes that train together."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from heritage.cluster import submission
from heritage.cluster.resources import LocalJobs
from heritage.errors import ConfigError
from heritage.runs.job_state import State
from tests.cluster.runs import (
    assert_same,
    finish,
    last,
    run,
    start,
    stuck_job,
    sweep_folder,
    wait_until,
    words,
    write_set,
)


@pytest.mark.slow
def test_a_local_job_with_two_processes_equals_a_plain_command_with_two(tmp_path: Path) -> None:
    root = write_set(tmp_path)
    two = ["trainer=ddp", "trainer.devices=2", "trainer.accelerator=cpu", "balance=oversample",
           "trainer.max_epochs=1", "callbacks.safeguard.every_minutes=15"]  # fmt: skip
    plain = tmp_path / "plain"
    run(*words(root, tmp_path), *two, f"hydra.run.dir={plain}", cwd=tmp_path)
    run("-m", *words(root, tmp_path / "local"), *two, "seed=0", "cluster=local", cwd=tmp_path)
    local = sweep_folder(tmp_path / "local") / "job"
    assert_same(plain, local)
    data = json.loads((local / "data.json").read_text())
    seen = int((local / "report.md").read_text().split(" images seen")[0].split()[-1].replace(",", ""))
    assert seen == sum(data["counts"]["shown"].values()), "each image as often as the sampler draws it"
    assert pq.read_table(local / "predictions.parquet").num_rows == sum(data["counts"]["test"].values())


@pytest.mark.slow
def test_ctrl_c_stops_the_jobs_and_the_same_command_resumes_them(tmp_path: Path) -> None:
    root, outputs = write_set(tmp_path), tmp_path / "local"
    command = ["-m", *words(root, outputs), "seed=0,1", "cluster=local", "cluster.parallel=2"]
    process = start(*command, cwd=tmp_path, own_session=True)
    wait_until(
        "a first checkpoint",
        lambda: any(outputs.glob("sweeps/*/seed=*/checkpoints/last.ckpt")),
        process,
    )
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C in a terminal does
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 2, out
    out = run(*command, cwd=tmp_path)
    assert "2 finished" not in out.partition("Jobs of")[0]
    folder = sweep_folder(outputs)
    for seed in (0, 1):
        assert (folder / f"seed={seed}" / "report.md").is_file()
        assert last(folder / f"seed={seed}").is_file()
    whole = tmp_path / "whole"
    finish(start(*words(root, tmp_path), "seed=1", f"hydra.run.dir={whole}", cwd=tmp_path))
    assert_same(whole, folder / "seed=1")


@pytest.mark.slow
@pytest.mark.parametrize("background", [False, True])
def test_ranks_are_killed_when_one_fails_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, background: bool
) -> None:
    """Also when a script started the command in the background, where SIGINT is ignored."""
    monkeypatch.setattr(submission, "_RANK_GRACE", 1.0)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN if background else signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    job, began = stuck_job(tmp_path / "run"), time.monotonic()
    submission.run_local([job], LocalJobs(2, 0, 1, 10), tmp_path, lambda: None)
    assert job.state is State.FAILED
    assert time.monotonic() - began < 200, "the other rank would wait for five minutes"


def test_submitit_never_reads_files_that_were_there_before(tmp_path: Path) -> None:
    foreign = tmp_path / ".submitit" / "7"
    foreign.mkdir(parents=True)
    (foreign / "7_submitted.pkl").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    first, second = submission._files_folder(tmp_path), submission._files_folder(tmp_path)
    assert first != second
    assert first.parent == second.parent == foreign.parent
    assert list(first.iterdir()) == list(second.iterdir()) == []
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / ".submitit").write_text("a file")
    with pytest.raises(ConfigError, match="cannot be written"):
        submission._files_folder(tmp_path / "other")


def test_results_of_submitit_are_never_unpickled() -> None:
    code = Path(submission.__file__).read_text()
    assert not re.search(r"\.(result|results|exception|exceptions|submission)\(", code)
