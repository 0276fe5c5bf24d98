"""What a job asks of a machine: the `cluster` group."""

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
"""Seconds that a job needs to import what it needs, before it can be told to save."""
_EARLY = 60
"""Seconds by which Slurm may send a signal before its time (sbatch, --signal)."""


@dataclass(frozen=True)
class InProcess:
    """One job after the other in this very process."""


@dataclass(frozen=True)
class LocalJobs:
    """Jobs in processes of their own on this machine.

    Args:
        tasks_per_node: Processes of a job; ``auto`` is one for each GPU asked for.
        gpus: GPUs of a job; None is one for each process of a GPU run.
        parallel: Jobs at once.
        time: Minutes after which a job is stopped.
    """

    tasks_per_node: Devices
    gpus: NonNegativeInt | None
    parallel: PositiveInt
    time: Annotated[int, Field(ge=2)]


@dataclass(frozen=True)
class SlurmJobs:
    """Jobs that Slurm runs.

    Args:
        nodes: Machines of a job.
        tasks_per_node: Processes on each; ``auto`` is one for each GPU asked for.
        gpus: GPUs on each machine; None is one for each process of a GPU run.
        cpus: Cores for each process.
        memory: GB on each machine; None takes the partition's own.
        partition: Which partition, or several between commas; None takes the cluster's own choice.
        account: Who pays.
        qos: Quality of service.
        constraint: Features that a node must have.
        time: Minutes; a job that needs longer is queued again.
        notice: Seconds before that limit at which a job is told to save.
        max_timeouts: How often a job may reach its limit.
        parallel: Jobs of an array at once.
        setup: Lines of shell before the job.
        extra: Other options of sbatch by their long names.
        wait: Whether to wait for the jobs' ends.

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
                f"{self.time} min are over before a job has started: it is told to save {self.notice} s "
                f"(cluster.notice) before its end, up to {_EARLY} s earlier if Slurm is busy, and needs "
                f"about {_STARTING} s to start",
                where=f"cluster.time={self.time}",
                remedy=f"give {(least + 59) // 60} min or more",
            )


Cluster = InProcess | LocalJobs | SlurmJobs


@dataclass(frozen=True)
class Shape:
    """How many processes and GPUs a job has on each of its machines."""

    nodes: int
    tasks: int
    gpus: int


def shape(cluster: LocalJobs | SlurmJobs, trainer: Mapping[str, Any]) -> Shape:
    """Return a job's shape, which is also that of its Trainer.

    Args:
        cluster: What is asked for.
        trainer: The configuration's ``trainer``.

    Raises:
        ConfigError: The cluster would start other processes than the Trainer expects: it would wait for
            the missing ones for ever, or each would train alone.
    """
    nodes = cluster.nodes if isinstance(cluster, SlurmJobs) else 1
    if nodes != trainer["num_nodes"]:
        where = "cluster.nodes" if isinstance(cluster, SlurmJobs) else "cluster=local"
        raise ConfigError(
            f"{nodes} machines, but trainer.num_nodes={trainer['num_nodes']}",
            where=where,
            remedy=f"set trainer.num_nodes={nodes}; cluster.nodes follows it by itself",
        )
    asked, devices = _count(cluster.tasks_per_node), _count(trainer["devices"])
    tasks = asked or devices or max(1, cluster.gpus or 0)
    for name, count in (("cluster.tasks_per_node", asked), ("trainer.devices", devices)):
        if count not in (None, tasks):
            raise ConfigError(
                f"{name}={count}, but the other is {tasks}",
                where="cluster.tasks_per_node and trainer.devices",
                remedy="set trainer.devices alone; cluster.tasks_per_node follows it by itself",
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
    return Shape(nodes, tasks, gpus)


def _count(devices: Devices) -> int | None:
    if devices == "auto":
        return None
    return len(devices) if isinstance(devices, list) else int(devices)
