"""The options of the `cluster` group: the resources that a job requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from heritage.core.types import NonNegativeInt, PositiveInt
from heritage.errors import ConfigError

Devices = PositiveInt | Literal["auto"] | list[int]
Option = str | int | float | bool

_STARTING = 60
"""Seconds that a job takes to import its packages; before that it cannot save."""
_EARLY = 60
"""Seconds by which Slurm may send a signal early (sbatch, --signal)."""


@dataclass(frozen=True)
class InProcess:
    """One job after the other in this process."""


@dataclass(frozen=True)
class LocalJobs:
    """Jobs in subprocesses on this machine.

    Args:
        tasks_per_node: Processes of a job; ``auto`` is one for each requested GPU.
        gpus: GPUs of a job; None is one for each process of a GPU run.
        parallel: The number of jobs that run at the same time.
        time: Minutes after which a job is stopped.
    """

    tasks_per_node: Devices
    gpus: NonNegativeInt | None
    parallel: PositiveInt
    time: Annotated[int, Field(ge=2)]


@dataclass(frozen=True)
class SlurmJobs:
    """Jobs on Slurm.

    Args:
        nodes: Nodes of a job.
        tasks_per_node: Processes on each node; ``auto`` is one for each requested GPU.
        gpus: GPUs on each node; None is one for each process of a GPU run.
        cpus: CPU cores for each process.
        memory: GB on each node; None is the partition's default.
        partition: A partition, or several separated by commas; None is the cluster's default.
        account: The account to charge.
        qos: Quality of service.
        constraint: Features that a node must have.
        time: Time limit in minutes; a job that needs longer is requeued.
        notice: Seconds before the time limit at which a job is signalled to save.
        max_timeouts: How often a job may reach its time limit.
        parallel: The number of jobs of an array that run at the same time.
        setup: Shell commands to run before the job.
        extra: Other options of sbatch by their long names.
        wait: Whether to wait until the jobs have ended.

    Raises:
        ConfigError: The time limit leaves a job no time to train.
    """

    nodes: PositiveInt
    tasks_per_node: Devices
    gpus: NonNegativeInt | None
    cpus: PositiveInt
    memory: PositiveInt | None
    partition: str | None
    account: str | None
    qos: str | None
    constraint: str | None
    time: PositiveInt
    notice: Annotated[int, Field(ge=10)]
    max_timeouts: NonNegativeInt
    parallel: PositiveInt
    setup: list[str]
    extra: dict[str, Option]
    wait: bool

    def __post_init__(self) -> None:
        least = self.notice + _EARLY + _STARTING
        if 60 * self.time < least:
            raise ConfigError(
                f"{self.time} min leave no time to train: a job is signalled to save {self.notice} s "
                f"(cluster.notice) before its limit, up to {_EARLY} s earlier if Slurm is busy, and takes "
                f"about {_STARTING} s to start",
                where=f"cluster.time={self.time}",
                remedy=f"give {(least + 59) // 60} min or more",
            )


Cluster = InProcess | LocalJobs | SlurmJobs


@dataclass(frozen=True)
class Allocation:
    """The size of a job.

    Attributes:
        nodes: Nodes of the job.
        tasks: Processes on each node.
        gpus: GPUs on each node.
    """

    nodes: int
    tasks: int
    gpus: int


def allocation_of(cluster: LocalJobs | SlurmJobs, trainer: Mapping[str, Any]) -> Allocation:
    """Return the size of a job, which its Trainer must agree with.

    Args:
        cluster: The requested resources.
        trainer: The configuration's ``trainer``.

    Raises:
        ConfigError: The cluster would start another number of processes than the Trainer expects: it would
            wait for the missing ones forever, or each process would train alone.
    """
    nodes = cluster.nodes if isinstance(cluster, SlurmJobs) else 1
    if nodes != trainer["num_nodes"]:
        where = "cluster.nodes" if isinstance(cluster, SlurmJobs) else "cluster=local"
        raise ConfigError(
            f"{nodes} nodes, but trainer.num_nodes={trainer['num_nodes']}",
            where=where,
            remedy=f"set trainer.num_nodes={nodes}; cluster.nodes follows it",
        )
    requested, devices = _count(cluster.tasks_per_node), _count(trainer["devices"])
    tasks = requested or devices or max(1, cluster.gpus or 0)
    for name, count in (("cluster.tasks_per_node", requested), ("trainer.devices", devices)):
        if count not in (None, tasks):
            raise ConfigError(
                f"{name}={count}, but the other is {tasks}",
                where="cluster.tasks_per_node and trainer.devices",
                remedy="set trainer.devices alone; cluster.tasks_per_node follows it",
            )
    gpus = cluster.gpus
    if gpus is None:
        gpus = tasks if trainer["accelerator"] == "gpu" else 0
    if gpus and trainer["accelerator"] != "cpu" and gpus != tasks:
        raise ConfigError(
            f"{gpus} GPUs for {tasks} processes",
            where=f"cluster.gpus={gpus}",
            remedy=f"set trainer.devices={gpus}",
        )
    return Allocation(nodes, tasks, gpus)


def _count(devices: Devices) -> int | None:
    if devices == "auto":
        return None
    return len(devices) if isinstance(devices, list) else int(devices)
