"""The requested resources must agree with the Trainer."""

from __future__ import annotations

import math
from typing import Any

import pytest

from heritage.cluster.queue import _minutes
from heritage.cluster.resources import Allocation, LocalJobs, SlurmJobs, allocation_of
from heritage.errors import ConfigError

SLURM: dict[str, Any] = {
    "nodes": 1, "tasks_per_node": "auto", "gpus": None, "cpus": 1, "memory": None, "partition": None,
    "account": None, "qos": None, "constraint": None, "time": 60, "notice": 60, "max_timeouts": 3,
    "parallel": 4, "setup": [], "extra": {}, "wait": True,
}  # fmt: skip
TRAINER = {"devices": "auto", "num_nodes": 1, "accelerator": "auto"}


@pytest.mark.parametrize(
    ("cluster", "trainer", "expected"),
    [
        ({}, {}, Allocation(1, 1, 0)),
        ({"tasks_per_node": 2}, {"devices": 2}, Allocation(1, 2, 0)),
        ({"tasks_per_node": 2}, {"devices": 2, "accelerator": "gpu"}, Allocation(1, 2, 2)),
        ({"gpus": 4}, {}, Allocation(1, 4, 4)),
        ({"nodes": 3, "tasks_per_node": 2}, {"devices": 2, "num_nodes": 3}, Allocation(3, 2, 0)),
        ({"tasks_per_node": [0, 2]}, {"devices": [0, 2], "accelerator": "gpu"}, Allocation(1, 2, 2)),
        ({}, {"accelerator": "gpu"}, Allocation(1, 1, 1)),
    ],
)
def test_sizes_that_agree(cluster: dict[str, Any], trainer: dict[str, Any], expected: Allocation) -> None:
    assert allocation_of(SlurmJobs(**SLURM | cluster), TRAINER | trainer) == expected


@pytest.mark.parametrize(
    ("cluster", "trainer", "expected"),
    [
        ({"tasks_per_node": 1}, {"devices": 2}, "set trainer.devices alone"),
        ({"tasks_per_node": 2}, {"devices": 1}, "set trainer.devices alone"),
        ({"nodes": 2}, {}, "set trainer.num_nodes=2"),
        ({}, {"num_nodes": 2}, "set trainer.num_nodes=1"),
        ({"gpus": 4, "tasks_per_node": 2}, {"devices": 2}, "set trainer.devices=4"),
    ],
)
def test_sizes_that_would_hang_are_rejected(
    cluster: dict[str, Any], trainer: dict[str, Any], expected: str
) -> None:
    with pytest.raises(ConfigError, match=expected):
        allocation_of(SlurmJobs(**SLURM | cluster), TRAINER | trainer)


def test_local_jobs_have_one_node() -> None:
    with pytest.raises(ConfigError, match="cluster=local"):
        allocation_of(LocalJobs(1, None, 1, 60), TRAINER | {"devices": 1, "num_nodes": 2})


@pytest.mark.parametrize(("time", "notice", "least"), [(1, 60, 3), (2, 60, 3), (3, 120, 4)])
def test_a_time_limit_leaves_time_to_train(time: int, notice: int, least: int) -> None:
    with pytest.raises(ConfigError, match=f"give {least} min or more"):
        SlurmJobs(**SLURM | {"time": time, "notice": notice})
    SlurmJobs(**SLURM | {"time": least, "notice": notice})


@pytest.mark.parametrize(
    ("limit", "minutes"),
    [("1:00:00", 60), ("2-00:00:00", 2880), ("10:00", 10), ("30", 0.5), ("infinite", math.inf)],
)
def test_slurm_times_are_read(limit: str, minutes: float) -> None:
    assert _minutes(limit) == minutes
