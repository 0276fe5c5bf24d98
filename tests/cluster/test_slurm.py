"""Tests on a real Slurm of one node: an array, requeued jobs, preemption, two processes.

`make test-slurm` starts Slurm and runs this file; otherwise these tests are skipped.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from heritage.cluster import submission
from heritage.cluster.resources import SlurmJobs
from heritage.runs.job_state import State
from tests.cluster.runs import (
    assert_same,
    finish,
    job_ids,
    last,
    run,
    start,
    step,
    stuck_job,
    sweep_folder,
    wait_until,
    words,
    write_set,
)
from tests.conftest import Command

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(
        os.environ.get("HERITAGE_TEST_SLURM") != "1", reason="no Slurm for tests: run make test-slurm"
    ),
]

SLURM = [
    "cluster=slurm",
    "cluster.cpus=1",
    "cluster.memory=null",
    "cluster.time=10",
    "cluster.partition=main",
]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("slurm"))


def slurm(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout


def warn(job_id: str) -> None:
    """Send the signal that Slurm sends before a time limit, once: scancel retries while a job is requeued."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(["scancel", "--signal=USR2", job_id], check=False, capture_output=True, timeout=3)


def state(job_id: str) -> str:
    return slurm("squeue", "-h", "-r", "-j", job_id, "-o", "%T").strip()


def elapsed(job_id: str) -> int:
    """Return the seconds that a job has run."""
    clock = slurm("squeue", "-h", "-j", job_id, "-o", "%M").strip()
    hours, minutes, seconds = (int(part) for part in f"0:{clock}".split(":")[-3:])
    return 3600 * hours + 60 * minutes + seconds


def preempt() -> None:
    """Take the whole node for a moment, with a job of higher priority than all others."""
    slurm("sbatch", "--partition=urgent", "--ntasks=1", "--cpus-per-task=4", "--time=1", "--output=/dev/null",
          "--wrap=sleep 2")  # fmt: skip


def test_thesis_balance_survives_signals_requeueing_and_preemption(tmp_path: Path) -> None:
    pictures = tmp_path / "demo"
    sweep = ["-m", "+sweep=thesis_balance", "data.reader.images=400", "model.weights=none",
             "callbacks=default", "augment=light"]  # fmt: skip
    outputs, whole = tmp_path / "slurm", tmp_path / "whole"
    process = start(*sweep, *words(pictures, outputs, "demo"), *SLURM, "cluster.parallel=2", cwd=tmp_path)
    wait_until("an array", lambda: len(job_ids(outputs)) == 4, process)
    folder, numbers = sweep_folder(outputs), job_ids(outputs)
    assert len({number.partition("_")[0] for number in numbers.values()}) == 1, "one array"
    baseline, weights, undersample, oversample = (
        folder / f"experiment=thesis-{name}" for name in ("baseline", "weights", "undersample", "oversample")
    )

    # the signal before a time limit
    wait_until("a first checkpoint", last(baseline).is_file, process)
    warn(numbers[baseline.name])
    wait_until("a requeued job", lambda: state(numbers[baseline.name]) == "PENDING", process)
    saved = step(baseline)

    # the same signal while Python is starting
    wait_until("a started job", lambda: state(numbers[undersample.name]) == "RUNNING", process)
    warn(numbers[undersample.name])

    # an administrator requeues a job
    wait_until("a first checkpoint", last(weights).is_file, process)
    slurm("scontrol", "requeue", numbers[weights.name])

    # preemption with a grace time
    wait_until("a first checkpoint", last(oversample).is_file, process)
    slurm("scontrol", "update", "PartitionName=main", "GraceTime=20")
    preempt()
    wait_until("a preempted job", lambda: state(numbers[oversample.name]) == "PENDING", process)
    slurm("scontrol", "update", "PartitionName=main", "GraceTime=0")
    out = finish(process)
    assert out.count("finished") >= 4, out

    run(*sweep, *words(pictures, whole, "demo"), cwd=tmp_path)
    for job in (baseline, weights, undersample, oversample):
        assert_same(sweep_folder(whole) / job.name, job)
    steps = step(baseline)
    assert saved % (steps // 4), "this test requires a stop in mid-epoch"
    assert "SIGUSR2" in "".join(path.read_text() for path in folder.glob(".submitit/*/*/*.err"))

    # the comparison of the sweep
    table = compare(folder, tmp_path)
    for name in ("none", "weights", "undersample", "oversample"):
        assert f"\n{name}," in table

    # nothing is left to run
    began = time.monotonic()
    out = run(*sweep, *words(pictures, outputs, "demo"), *SLURM, cwd=tmp_path)
    assert "4 finished" in out
    assert "Slurm job" not in out
    assert time.monotonic() - began < 120


def compare(runs: Path, cwd: Path) -> str:
    """Return the overview that `heritage compare` makes of a sweep's folder."""
    out = cwd / "comparison"
    command = [sys.executable, "-m", "heritage.compare", f"runs='{runs}'", f"hydra.run.dir={out}"]
    subprocess.run([*command, "intervals.resamples=50"], check=True, cwd=cwd)
    return (out / "tables" / "overview.csv").read_text(encoding="utf-8")


def test_a_job_keeps_its_submitted_configuration_and_two_processes_resume(
    pictures: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "conf" / "experiment" / "mine.yaml"
    mine.parent.mkdir(parents=True)
    mine.write_text("# @package _global_\ntrainer:\n  max_epochs: 3\n")
    two = [f"hydra.searchpath=[file://{tmp_path / 'conf'}]", "+experiment=mine", "trainer.devices=2",
           "trainer.strategy=ddp", "trainer.accelerator=cpu", "balance=oversample"]  # fmt: skip
    given = [word for word in words(pictures, tmp_path) if "max_epochs" not in word]
    job, plain = tmp_path / "job", tmp_path / "plain"
    slurm("scontrol", "update", "PartitionName=main", "State=DOWN")  # the job waits
    process = start(*given, *two, *SLURM, f"hydra.run.dir={job}", cwd=tmp_path)
    wait_until("a waiting job", lambda: bool(slurm("squeue", "-h").strip()), process)
    mine.write_text("# @package _global_\ntrainer:\n  max_epochs: 99\n")
    slurm("scontrol", "update", "PartitionName=main", "State=UP")
    wait_until("a first checkpoint", last(job).is_file, process)
    job_id = slurm("squeue", "-h", "-o", "%i").split()[0]
    warn(job_id)
    wait_until("a requeued job", lambda: state(job_id) == "PENDING", process)
    finish(process)
    mine.write_text("# @package _global_\ntrainer:\n  max_epochs: 3\n")
    run(*given, *two, f"hydra.run.dir={plain}", cwd=tmp_path)
    assert_same(plain, job)


PAUSE = '''"""Make a run take a minute on any machine: Slurm checks time limits twice a minute."""

import time

from pytorch_lightning.callbacks import Callback


class Pause(Callback):
    """Waits after each step."""

    def on_train_batch_end(self, *_: object) -> None:
        """Wait."""
        time.sleep(0.15)
'''


def test_a_single_run_survives_its_time_limit_and_preemption_without_a_warning(
    pictures: Path, tmp_path: Path
) -> None:
    both = tmp_path / "conf" / "logger" / "both.yaml"
    both.parent.mkdir(parents=True)
    both.write_text("defaults: [csv, wandb]\n")
    (tmp_path / "pause.py").write_text(PAUSE)  # in the working directory, which Python searches
    given = [word for word in words(pictures, tmp_path) if "max_epochs" not in word]
    given += [f"hydra.searchpath=[file://{tmp_path / 'conf'}]", "logger=both", "trainer.max_epochs=12"]
    job, plain = tmp_path / "job", tmp_path / "plain"
    submit = [*given, *SLURM, "cluster.notice=60", "+callbacks.pause._target_=pause.Pause"]
    out = run(*submit, "cluster.wait=false", f"hydra.run.dir={job}", cwd=tmp_path)
    assert f"resume={job} to wait for the job" in out
    process = start(*submit, f"resume={job}", cwd=tmp_path)
    wait_until("a first checkpoint", last(job).is_file, process)
    (job_id,) = slurm("squeue", "-h", "-o", "%i").split()  # submitted once

    # Slurm signals that the time limit is near, and would end the job
    minutes = (elapsed(job_id) + 40) // 60 + 1
    slurm("scontrol", "update", f"JobId={job_id}", f"TimeLimit={minutes}")
    wait_until("a requeued job", lambda: state(job_id) == "PENDING", process)
    slurm("scontrol", "update", f"JobId={job_id}", "TimeLimit=10")
    written, saved = last(job).stat().st_mtime_ns, step(job)

    wait_until("a second start", lambda: state(job_id) == "RUNNING", process)
    wait_until("a later checkpoint", lambda: last(job).stat().st_mtime_ns > written, process)
    assert step(job) > saved, "resumed, not started from the beginning"
    preempt()
    wait_until("a preempted job", lambda: state(job_id) == "PENDING", process)
    out = finish(process)
    assert f"already in the queue, job {job_id}" in out
    assert len(list(job.glob(".submitit/*/*/*_submitted.pkl"))) == 1

    run(*given, f"hydra.run.dir={plain}", cwd=tmp_path)
    assert_same(plain, job)
    log = "".join(path.read_text() for path in job.glob(".submitit/*/*/*.err"))
    assert log.count("Caught signal SIGUSR2") == 1, "preemption without a warning"
    starts = {folder.name.rpartition("-")[2] for folder in job.glob("wandb/offline-run-*")}
    assert starts == {(job / "wandb_id.txt").read_text().strip()}, "a single run of Weights & Biases"
    assert len(list(job.glob("wandb/offline-run-*"))) == 3


def test_a_cancelled_job_stays_cancelled_and_can_be_resumed(pictures: Path, tmp_path: Path) -> None:
    job = tmp_path / "job"
    command = [*words(pictures, tmp_path), *SLURM, f"hydra.run.dir={job}"]
    process = start(*command, cwd=tmp_path)
    wait_until("a first checkpoint", last(job).is_file, process)
    (job_id,) = slurm("squeue", "-h", "-o", "%i").split()
    slurm("scancel", job_id)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 2, out
    assert f"1 of 1 jobs did not finish (1 interrupted); run the same command with resume={job}" in out
    assert not state(job_id)
    out = run(*command[:-1], f"resume={job}", cwd=tmp_path)
    assert "finished" in out


def test_ranks_are_killed_when_one_fails_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])  # the ranks import the job from here
    cluster = SlurmJobs(
        nodes=1, tasks_per_node=2, gpus=None, cpus=1, memory=None, partition="main", account=None, qos=None,
        constraint=None, time=10, notice=60, max_timeouts=3, parallel=1, setup=[], extra={}, wait=True,
    )  # fmt: skip
    job, began = stuck_job(tmp_path / "run"), time.monotonic()
    assert submission.run_slurm([job], cluster, tmp_path, {}, lambda: None) == []
    assert job.state is State.FAILED
    assert time.monotonic() - began < 200, "the other rank would wait for five minutes"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["cluster.partition=mian"], ["no such partition", "did you mean 'main'?"]),
        (["cluster.time=100"], ["partition main limits jobs to 60 min", "cluster.time=100"]),
        (["cluster.constraint=gold"], ["Slurm rejects the job", "feature"]),
        (["trainer.devices=2", "cluster.tasks_per_node=1"], ["set trainer.devices alone"]),
    ],
)
def test_jobs_that_slurm_rejects_end_in_one_line(
    heritage: Command, tiny: tuple[str, ...], given: list[str], expected: list[str]
) -> None:
    base = [word for word in SLURM if word.split("=")[0] not in [other.split("=")[0] for other in given]]
    done = heritage("train", *tiny, *base, *given)
    assert done.code == 2
    lines = done.err.strip().splitlines()
    assert len(lines) == 1, done.err
    for part in expected:
        assert part in lines[0]
    assert not slurm("squeue", "-h").strip()
