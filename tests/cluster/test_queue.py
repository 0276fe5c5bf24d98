"""Queries of Slurm's commands, and failed queries."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from heritage.cluster import submission
from heritage.cluster.queue import Queue, require_partition
from heritage.errors import ClusterError, ConfigError
from heritage.runs.job_state import State


class Waiting:
    """A job that is not finished."""

    name = "seed=0"
    state = State.INTERRUPTED


def program(folder: Path, name: str, body: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


@pytest.mark.parametrize(
    ("partition", "minutes", "fault"),
    [
        (None, 60, None),
        (None, 61, "partition main limits jobs to 60 min"),
        ("main,long", 60, None),
        ("main,lnog", 60, "cluster.partition=lnog: .*did you mean 'long'"),
        ("long,main", 90, "partition main limits jobs to 60 min"),
        ("long", 90, None),
    ],
)
def test_a_partition_exists_and_its_time_limit_suffices(
    bin_folder: Path, partition: str | None, minutes: int, fault: str | None
) -> None:
    program(bin_folder, "sinfo", "printf 'main|main*|1:00:00\\nlong|long|infinite\\n'")
    if fault is None:
        require_partition(partition, minutes)
    else:
        with pytest.raises(ConfigError, match=fault):
            require_partition(partition, minutes)


def test_a_restarting_controller_does_not_end_the_wait(
    bin_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = bin_folder / "calls"
    program(
        bin_folder, "squeue",
        f"echo x >>{calls}; [ $(wc -l <{calls}) -gt 3 ] || {{ echo 'error: No contact' >&2; exit 1; }}",
    )  # fmt: skip
    monkeypatch.setattr(submission, "_SLURM_INTERVAL", 0.01)
    jobs, calls_back = [cast(Any, Waiting())], list[int]()
    submission._wait_for(jobs, {"seed=0": "7"}, Queue(), lambda: calls_back.append(1))
    assert len(calls.read_text().split()) == 5, "three failures, two responses without the job"
    assert calls_back == [1]
    calls.unlink()
    monkeypatch.setattr(submission, "_MAX_FAILED_QUERIES", 2)
    with pytest.raises(ClusterError, match="No contact"):
        submission._wait_for(jobs, {"seed=0": "7"}, Queue(), lambda: None)


@pytest.mark.parametrize(
    ("output", "ending"),
    [
        ("JobId=7 JobState=RUNNING Reason=None PreemptTime=None", False),
        ("JobId=7 JobState=RUNNING Reason=None PreemptTime=2026-01-01T00:00:00", False),
        ("JobId=7 JobState=COMPLETING Reason=None PreemptTime=2026-01-01T00:00:00", False),
        ("JobId=7 JobState=COMPLETING Reason=None PreemptTime=None", True),
        ("JobId=7 JobState=COMPLETING Reason=None Restarts=1", True),
    ],
)
def test_a_cancelled_job_is_not_requeued(bin_folder: Path, output: str, ending: bool) -> None:
    program(bin_folder, "scontrol", f"echo '{output}'")
    assert Queue().is_ending("7") is ending


def test_a_job_that_no_node_can_run_is_reported_once(
    bin_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = bin_folder / "calls"
    program(
        bin_folder, "squeue",
        f"echo x >>{calls}; n=$(wc -l <{calls}); [ $n -lt 2 ] && echo '7|PENDING|Priority'\n"
        "[ $n -gt 1 ] && [ $n -lt 5 ] && echo '7|PENDING|PartitionConfig'; true",
    )  # fmt: skip
    monkeypatch.setattr(submission, "_SLURM_INTERVAL", 0.01)
    submission._wait_for([cast(Any, Waiting())], {"seed=0": "7"}, Queue(), lambda: None)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("seed=0: Slurm does not start job 7 (PartitionConfig); ")
