"""What Slurm says: its partitions, and which jobs it still has.

`squeue` answers without an accounting database, which many clusters lack.
"""

from __future__ import annotations

import math
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from heritage.core.taxonomy import nearest
from heritage.errors import ClusterError, ConfigError

_ACTIVE = {
    "PENDING", "RUNNING", "COMPLETING", "CONFIGURING", "SUSPENDED", "RESIZING", "REQUEUED", "REQUEUE_HOLD",
    "REQUEUE_FED", "SIGNALING", "STAGE_OUT", "STOPPED", "SPECIAL_EXIT", "PREEMPTED",
}  # fmt: skip
_ORDINARY = {
    "None", "Resources", "Priority", "BeginTime", "Dependency", "JobArrayTaskLimit", "Cleaning", "Prolog",
    "WaitingForScheduling", "Licenses", "Reservation",
}  # fmt: skip
"""Why a job waits that will start by itself."""
_PATIENCE = 60.0


@dataclass(frozen=True)
class Place:
    """What Slurm says of a job that it has.

    Attributes:
        state: ``PENDING``, ``RUNNING`` and the like.
        reason: Why it waits, in Slurm's word.
    """

    state: str
    reason: str

    @property
    def stuck(self) -> bool:
        """Whether it waits for something that may never come about."""
        return self.state == "PENDING" and self.reason not in _ORDINARY


class Queue:
    """Slurm's queue."""

    def places(self, tickets: Sequence[str]) -> dict[str, Place]:
        """Return where those jobs stand that are waiting or running.

        Args:
            tickets: Slurm's numbers, ``1234`` or ``1234_5``.

        Raises:
            ClusterError: Slurm does not answer.
        """
        if not tickets:
            return {}
        # By user, not by number: squeue fails on a number that Slurm has forgotten.
        lines = _ask("squeue", "--me", "-h", "-r", "-o", "%i|%T|%r").splitlines()
        found = {}
        for line in lines:
            ticket, _, rest = line.strip().partition("|")
            state, _, reason = rest.partition("|")
            found[ticket] = Place(state, reason)
        return {
            ticket: found[ticket] for ticket in tickets if ticket in found and found[ticket].state in _ACTIVE
        }

    def ends(self, ticket: str) -> bool:
        """Return whether Slurm is ending a job that is not to ask to be queued again.

        It was cancelled, and would come back to life; or Slurm has put it into the queue itself. A job
        that is cancelled for a more important one may ask.

        Args:
            ticket: Slurm's number.

        Raises:
            ClusterError: Slurm does not answer.
        """
        said = _ask("scontrol", "-o", "show", "job", ticket).split()
        job = dict(word.split("=", 1) for word in said if "=" in word)
        return job.get("JobState") != "RUNNING" and job.get("PreemptTime", "None") == "None"


def require_slurm() -> None:
    """Refuse to go on without Slurm's commands.

    Raises:
        ClusterError: They are not here.
    """
    missing = [name for name in ("sbatch", "squeue", "srun") if shutil.which(name) is None]
    if missing:
        raise ClusterError(
            f"no Slurm on this machine ({missing[0]} is not on PATH)",
            where="cluster=slurm",
            remedy="start it on a login node of the cluster, or use cluster=local or cluster=none",
        )


def refuse_wrong_partition(partition: str | None, minutes: int) -> None:
    """Refuse a partition that does not exist, or that lets no job run as long.

    Args:
        partition: Its name, or several between commas; None is the cluster's default.
        minutes: How long a job runs at most.

    Raises:
        ConfigError: No such partition, or too long a time.
        ClusterError: Slurm does not answer.
    """
    limits = {}
    for line in _ask("sinfo", "--all", "-h", "-o", "%R|%P|%l").splitlines():
        name, marked, limit = line.strip().split("|")
        limits[name] = limit
        if partition is None and marked.endswith("*"):
            partition = name
    for name in (partition or "").split(","):
        if not name:
            continue
        if name not in limits:
            near = nearest(name, limits)
            raise ConfigError(
                "this cluster has no such partition",
                where=f"cluster.partition={name}",
                remedy=f"did you mean '{near}'?" if near else f"choose from {', '.join(sorted(limits))}",
            )
        if minutes > _minutes(limits[name]):
            raise ConfigError(
                f"partition {name} lets jobs run for {_minutes(limits[name]):.0f} min",
                where=f"cluster.time={minutes}",
                remedy="give less: a job that needs longer is queued again and goes on",
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


def _ask(*words: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603  Slurm's own commands, fixed words
            words, capture_output=True, text=True, check=True, timeout=_PATIENCE
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip().partition("\n")[0]
        raise ClusterError(
            f"Slurm does not answer ({said})", where=words[0], remedy="try again, or ask who runs the cluster"
        ) from error
    return done.stdout
