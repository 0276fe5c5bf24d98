"""What a submitted process does: it runs its job, and when it must stop, asks to be queued again.

The order is that of `docs/cluster.md`: a signal comes, `heritage.training.callbacks.safeguard` finishes the
step and saves, and only then does submitit's handler queue the job again.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from heritage.cluster.job import Job
from heritage.cluster.queue import Queue
from heritage.errors import ClusterError
from heritage.runs.files import FAILURE_FILE
from heritage.runs.state import State
from heritage.training.callbacks.safeguard import BATCH_SIGNAL, Stopped

_LAST_MOMENTS = 60.0
_FIRST_PORT, _PORTS = 10_000, 10_000


class Task:
    """A job, as submitit pickles and calls it.

    Args:
        job: The job.
    """

    def __init__(self, job: Job) -> None:
        self.job = job

    def __call__(self) -> None:
        """Run the job, unless it is finished: a job may be queued again just after its end."""
        if self.job.state is State.FINISHED:
            return
        if _queued_again():
            (self.job.folder / FAILURE_FILE).unlink(missing_ok=True)
        _tell_torch()
        try:
            self.job.run()
        except KeyboardInterrupt as stop:
            cause: BaseException | None = stop
            while cause is not None and not isinstance(cause, Stopped):
                cause = cause.__cause__ or cause.__context__
            if cause is None:
                raise
            if cause.number == signal.SIGINT or not _slurm_lets_it_run():
                raise SystemExit(str(stop)) from stop  # one line in the job's log, and exit code 1
            _queue_again()
        if self.job.state is State.FAILED:
            raise SystemExit(1)

    def checkpoint(self) -> Any:
        """Return what to run when the job comes around again: the same."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def _queued_again() -> bool:
    """Whether this is the first rank of a job that Slurm runs once more.

    Before its first start the failure of an earlier job is forgotten by whoever submits it: a rank that
    starts late must not remove what an early one says.
    """
    return os.environ.get("SLURM_RESTART_COUNT", "0") != "0" and os.environ.get("SLURM_PROCID") == "0"


def _tell_torch() -> None:
    """Say who the ranks are, where no Slurm does."""
    if os.environ.get("SUBMITIT_EXECUTOR") == "local" and int(os.environ["SUBMITIT_LOCAL_NTASKS"]) > 1:
        from submitit.helpers import TorchDistributedEnvironment

        TorchDistributedEnvironment().export(set_cuda_visible_devices=False, overwrite=True)
        # submitit draws from the range in which the system hands out ports of its own accord
        os.environ["MASTER_PORT"] = str(_meeting_port(int(os.environ["SUBMITIT_LOCAL_JOB_ID"])))


def _meeting_port(job: int) -> int:
    """Return the port at which the ranks of a local job meet: the same for all, another for each job."""
    return _FIRST_PORT + job % _PORTS


def _slurm_lets_it_run() -> bool:
    """Whether the job is Slurm's and may ask to be queued again."""
    if os.environ.get("SUBMITIT_EXECUTOR") != "slurm":
        return False
    from submitit.core.job_environment import JobEnvironment

    try:
        return not Queue().ends(JobEnvironment().job_id)
    except ClusterError:
        return True


def _queue_again() -> None:
    """Let submitit's handler do what it would have done when the signal came."""
    handler = signal.getsignal(BATCH_SIGNAL)
    if callable(handler):
        handler(BATCH_SIGNAL, None)
    # Only the first process queues the job again; the others end with it.
    time.sleep(_LAST_MOMENTS)
    raise SystemExit(1)
