"""On a real Slurm of one node: an array, jobs that are queued again, preemption, two processes.

`make test-slurm` starts it and runs this file; elsewhere these tests are skipped.
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
from heritage.runs.state import State
from tests.cluster.runs import (
    assert_same,
    await_that,
    finish,
    last,
    run,
    start,
    step,
    stuck_job,
    sweep_folder,
    tickets,
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


def warn(ticket: str) -> None:
    """Send what Slurm sends before a time limit, once.

    scancel tries again while a job is queued anew, and would then meet a Python that is still starting.
    """
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(["scancel", "--signal=USR2", ticket], check=False, capture_output=True, timeout=3)


def state(ticket: str) -> str:
    return slurm("squeue", "-h", "-r", "-j", ticket, "-o", "%T").strip()


def elapsed(ticket: str) -> int:
    """Return the seconds that a job has run."""
    clock = slurm("squeue", "-h", "-j", ticket, "-o", "%M").strip()
    hours, minutes, seconds = (int(part) for part in f"0:{clock}".split(":")[-3:])
    return 3600 * hours + 60 * minutes + seconds


def preempt() -> None:
    """Take the whole node for a moment, with a job that goes before all others."""
    slurm("sbatch", "--partition=urgent", "--ntasks=1", "--cpus-per-task=4", "--time=1", "--output=/dev/null",
          "--wrap=sleep 2")  # fmt: skip


def test_thesis_balance_survives_signals_requeueing_and_preemption(tmp_path: Path) -> None:
    pictures = tmp_path / "demo"
    sweep = ["-m", "+sweep=thesis_balance", "data.reader.images=400", "model.weights=none",
             "callbacks=default", "augment=light"]  # fmt: skip
    outputs, whole = tmp_path / "slurm", tmp_path / "whole"
    process = start(*sweep, *words(pictures, outputs, "demo"), *SLURM, "cluster.parallel=2", cwd=tmp_path)
    await_that("an array", lambda: len(tickets(outputs)) == 4, process)
    folder, numbers = sweep_folder(outputs), tickets(outputs)
    assert len({number.partition("_")[0] for number in numbers.values()}) == 1, "one array"
    baseline, weights, undersample, oversample = (
        folder / f"experiment=thesis-{name}" for name in ("baseline", "weights", "undersample", "oversample")
    )

    # what a time limit sends
    await_that("a first checkpoint", last(baseline).is_file, process)
    warn(numbers[baseline.name])
    await_that("a job that is queued again", lambda: state(numbers[baseline.name]) == "PENDING", process)
    saved = step(baseline)

    # what an administrator does
    await_that("a first checkpoint", last(weights).is_file, process)
    slurm("scontrol", "requeue", numbers[weights.name])

    # a job that matters more, with and without a moment to say goodbye
    await_that("a first checkpoint", last(oversample).is_file, process)
    slurm("scontrol", "update", "PartitionName=main", "GraceTime=20")
    preempt()
    await_that("a preempted job", lambda: state(numbers[oversample.name]) == "PENDING", process)
    slurm("scontrol", "update", "PartitionName=main", "GraceTime=0")
    out = finish(process)
    assert out.count("finished") >= 4, out

    run(*sweep, *words(pictures, whole, "demo"), cwd=tmp_path)
    for job in (baseline, weights, undersample, oversample):
        assert_same(sweep_folder(whole) / job.name, job)
    steps = step(baseline)
    assert saved % (steps // 4), "it must have been stopped in mid-epoch for this test to mean anything"
    assert "SIGUSR2" in "".join(path.read_text() for path in folder.glob(".submitit/*/*.err"))

    # the table that it was all for
    table = compare(folder, tmp_path)
    for name in ("none", "weights", "undersample", "oversample"):
        assert f"\n{name}," in table

    # nothing is left to do
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


def test_a_job_runs_what_was_submitted_and_two_processes_go_on_alike(pictures: Path, tmp_path: Path) -> None:
    mine = tmp_path / "conf" / "experiment" / "mine.yaml"
    mine.parent.mkdir(parents=True)
    mine.write_text("# @package _global_\ntrainer:\n  max_epochs: 3\n")
    two = [f"hydra.searchpath=[file://{tmp_path / 'conf'}]", "+experiment=mine", "trainer.devices=2",
           "trainer.strategy=ddp", "trainer.accelerator=cpu", "balance=oversample"]  # fmt: skip
    given = [word for word in words(pictures, tmp_path) if "max_epochs" not in word]
    job, plain = tmp_path / "job", tmp_path / "plain"
    slurm("scontrol", "update", "PartitionName=main", "State=DOWN")  # let it wait
    process = start(*given, *two, *SLURM, f"hydra.run.dir={job}", cwd=tmp_path)
    await_that("a waiting job", lambda: bool(slurm("squeue", "-h").strip()), process)
    mine.write_text("# @package _global_\ntrainer:\n  max_epochs: 99\n")
    slurm("scontrol", "update", "PartitionName=main", "State=UP")
    await_that("a first checkpoint", last(job).is_file, process)
    ticket = slurm("squeue", "-h", "-o", "%i").split()[0]
    warn(ticket)
    await_that("a job that is queued again", lambda: state(ticket) == "PENDING", process)
    finish(process)
    mine.write_text("# @package _global_\ntrainer:\n  max_epochs: 3\n")
    run(*given, *two, f"hydra.run.dir={plain}", cwd=tmp_path)
    assert_same(plain, job)


PAUSE = '''"""Lets a run take a minute on any machine: Slurm looks at time limits twice a minute."""

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
    (tmp_path / "pause.py").write_text(PAUSE)  # Python looks where it is started
    given = [word for word in words(pictures, tmp_path) if "max_epochs" not in word]
    given += [f"hydra.searchpath=[file://{tmp_path / 'conf'}]", "logger=both", "trainer.max_epochs=12"]
    job, plain = tmp_path / "job", tmp_path / "plain"
    submit = [*given, *SLURM, "cluster.notice=60", "+callbacks.pause._target_=pause.Pause"]
    out = run(*submit, "cluster.wait=false", f"hydra.run.dir={job}", cwd=tmp_path)
    assert f"resume={job} waits for it" in out
    process = start(*submit, f"resume={job}", cwd=tmp_path)
    await_that("a first checkpoint", last(job).is_file, process)
    (ticket,) = slurm("squeue", "-h", "-o", "%i").split()  # submitted once

    # Slurm itself says that the time is nearly over, and would end the job
    minutes = (elapsed(ticket) + 40) // 60 + 1
    slurm("scontrol", "update", f"JobId={ticket}", f"TimeLimit={minutes}")
    await_that("a job that is queued again", lambda: state(ticket) == "PENDING", process)
    slurm("scontrol", "update", f"JobId={ticket}", "TimeLimit=10")
    written, saved = last(job).stat().st_mtime_ns, step(job)

    await_that("a second start", lambda: state(ticket) == "RUNNING", process)
    await_that("a later checkpoint", lambda: last(job).stat().st_mtime_ns > written, process)
    assert step(job) > saved, "it went on, and did not start anew"
    preempt()
    await_that("a preempted job", lambda: state(ticket) == "PENDING", process)
    out = finish(process)
    assert f"in the queue already, job {ticket}" in out
    assert len(list(job.glob(".submitit/*/*_submitted.pkl"))) == 1

    run(*given, f"hydra.run.dir={plain}", cwd=tmp_path)
    assert_same(plain, job)
    said = "".join(path.read_text() for path in job.glob(".submitit/*/*.err"))
    assert said.count("Caught signal SIGUSR2") == 1, "what preempted it gave no warning"
    starts = {folder.name.rpartition("-")[2] for folder in job.glob("wandb/offline-run-*")}
    assert starts == {(job / "wandb_id.txt").read_text().strip()}, "one run of Weights & Biases"
    assert len(list(job.glob("wandb/offline-run-*"))) == 3


def test_a_cancelled_job_stays_cancelled_and_can_go_on(pictures: Path, tmp_path: Path) -> None:
    job = tmp_path / "job"
    command = [*words(pictures, tmp_path), *SLURM, f"hydra.run.dir={job}"]
    process = start(*command, cwd=tmp_path)
    await_that("a first checkpoint", last(job).is_file, process)
    (ticket,) = slurm("squeue", "-h", "-o", "%i").split()
    slurm("scancel", ticket)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 2, out
    assert f"1 of 1 jobs did not finish (1 interrupted); the same command with resume={job}" in out
    assert not state(ticket)
    out = run(*command[:-1], f"resume={job}", cwd=tmp_path)
    assert "finished" in out


def test_ranks_do_not_wait_for_one_that_failed_before_they_met(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])  # whence the ranks import the job
    cluster = SlurmJobs(
        nodes=1, tasks_per_node=2, gpus=None, cpus=1, memory=None, partition="main", account=None, qos=None,
        constraint=None, time=10, notice=60, max_timeouts=3, parallel=1, setup=[], extra={}, wait=True,
    )  # fmt: skip
    job, began = stuck_job(tmp_path / "run"), time.monotonic()
    assert submission.run_slurm([job], cluster, tmp_path, {}, lambda: None) == []
    assert job.state is State.FAILED
    assert time.monotonic() - began < 200, "the other rank waits for five minutes"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["cluster.partition=mian"], ["no such partition", "did you mean 'main'?"]),
        (["cluster.time=100"], ["partition main lets jobs run for 60 min", "cluster.time=100"]),
        (["cluster.constraint=gold"], ["Slurm refuses the job", "feature"]),
        (["trainer.devices=2", "cluster.tasks_per_node=1"], ["set trainer.devices alone"]),
    ],
)
def test_what_slurm_will_not_do_is_said_in_one_line(
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
