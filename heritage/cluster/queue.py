"""Query Slurm: its partitions, and the state of waiting and running jobs.

Only `squeue`, `sinfo` and `scontrol` are used: they need no accounting database, which many clusters lack.
"""

from __future__ import annotations

import math
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from heritage.core.taxonomy import suggestion
from heritage.errors import ClusterError, ConfigError

_ACTIVE = {
    "PENDING", "RUNNING", "COMPLETING", "CONFIGURING", "SUSPENDED", "RESIZING", "REQUEUED", "REQUEUE_HOLD",
    "REQUEUE_FED", "SIGNALING", "STAGE_OUT", "STOPPED", "SPECIAL_EXIT", "PREEMPTED",
}  # fmt: skip
_ORDINARY_REASONS = {
    "None", "Resources", "Priority", "BeginTime", "Dependency", "JobArrayTaskLimit", "Cleaning", "Prolog",
    "WaitingForScheduling", "Licenses", "Reservation",
}  # fmt: skip
"""Reasons for which a job waits that end without intervention."""
_TIMEOUT = 60.0


@dataclass(frozen=True)
class JobStatus:
    """The status of a job in Slurm's queue.

    Attributes:
        state: ``PENDING``, ``RUNNING`` and so on.
        reason: Why it waits, as Slurm names it.
    """

    state: str
    reason: str

    @property
    def is_stuck(self) -> bool:
        """Whether the job waits for something that may never happen."""
        return self.state == "PENDING" and self.reason not in _ORDINARY_REASONS


class Queue:
    """Slurm's queue."""

    def statuses(self, job_ids: Sequence[str]) -> dict[str, JobStatus]:
        """Return the status of those jobs that are waiting or running.

        Args:
            job_ids: Slurm's job ids, ``1234`` or ``1234_5``.

        Raises:
            ClusterError: Slurm does not respond.
        """
        if not job_ids:
            return {}
        # By user, not by id: squeue fails on an id that Slurm no longer knows.
        lines = _run("squeue", "--me", "-h", "-r", "-o", "%i|%T|%r").splitlines()
        statuses = {}
        for line in lines:
            job_id, _, rest = line.strip().partition("|")
            state, _, reason = rest.partition("|")
            statuses[job_id] = JobStatus(state, reason)
        return {
            job_id: statuses[job_id]
            for job_id in job_ids
            if job_id in statuses and statuses[job_id].state in _ACTIVE
        }

    def is_ending(self, job_id: str) -> bool:
        """Return whether Slurm is ending a job that must not requeue itself.

        Such a job was cancelled, or Slurm has requeued it already. A preempted job may requeue itself.

        Args:
            job_id: Slurm's job id.

        Raises:
            ClusterError: Slurm does not respond.
        """
        words = _run("scontrol", "-o", "show", "job", job_id).split()
        job = dict(word.split("=", 1) for word in words if "=" in word)
        return job.get("JobState") != "RUNNING" and job.get("PreemptTime", "None") == "None"


def require_slurm() -> None:
    """Raise an error unless Slurm's commands are installed.

    Raises:
        ClusterError: A command is missing.
    """
    missing = [name for name in ("sbatch", "squeue", "srun") if shutil.which(name) is None]
    if missing:
        raise ClusterError(
            f"no Slurm on this machine ({missing[0]} is not on PATH)",
            where="cluster=slurm",
            remedy="start it on a login node of the cluster, or use cluster=local or cluster=none",
        )


def require_partition(partition: str | None, minutes: int) -> None:
    """Raise an error unless a partition exists and its time limit is long enough.

    Args:
        partition: One name, or several separated by commas; None is the cluster's default.
        minutes: The job's time limit.

    Raises:
        ConfigError: There is no such partition, or its time limit is shorter.
        ClusterError: Slurm does not respond.
    """
    limits = {}
    for line in _run("sinfo", "--all", "-h", "-o", "%R|%P|%l").splitlines():
        name, marked, limit = line.strip().split("|")
        limits[name] = limit
        if partition is None and marked.endswith("*"):
            partition = name
    for name in (partition or "").split(","):
        if not name:
            continue
        if name not in limits:
            raise ConfigError(
                "this cluster has no such partition",
                where=f"cluster.partition={name}",
                remedy=suggestion(name, sorted(limits)),
            )
        if minutes > _minutes(limits[name]):
            raise ConfigError(
                f"partition {name} limits jobs to {_minutes(limits[name]):.0f} min",
                where=f"cluster.time={minutes}",
                remedy="give less: a job that needs longer is requeued and continues",
            )


def _minutes(limit: str) -> float:
    """Return Slurm's ``days-hours:minutes:seconds`` in minutes."""
    if not limit[:1].isdigit():
        return math.inf  # infinite, or not set
    days, _, clock = limit.rpartition("-")
    parts = [float(part) for part in clock.split(":")]
    while len(parts) < 3:
        parts.insert(0, 0.0)
    return float(days or 0) * 1440 + parts[-3] * 60 + parts[-2] + parts[-1] / 60


def _run(*command: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603  Slurm's own commands, fixed words
            command, capture_output=True, text=True, check=True, timeout=_TIMEOUT
        )
    except (OSError, subprocess.SubprocessError) as error:
        message = (getattr(error, "stderr", None) or str(error)).strip().partition("\n")[0]
        raise ClusterError(
            f"Slurm does not respond ({message})",
            where=command[0],
            remedy="try again later, or contact the cluster's administrators",
        ) from error
    return done.stdout
