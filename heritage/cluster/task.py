"""The function that submitit runs: run a job, and requeue it when a signal stops it.

As `docs/cluster.md` describes, `heritage.training.callbacks.safeguard` first finishes the step and saves;
only then does submitit's signal handler requeue the job.
"""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
from typing import Any

from heritage.cluster.job import Job
from heritage.cluster.queue import Queue
from heritage.errors import ClusterError
from heritage.runs.files import FAILURE_FILE
from heritage.runs.job_state import State
from heritage.training.callbacks.safeguard import BATCH_SIGNAL, Stopped

_REQUEUE_GRACE = 60.0
"""Seconds after which a process exits that was not ended by the requeueing of its job."""
_FIRST_PORT, _PORTS = 10_000, 10_000
_HELD_SIGNALS = (signal.SIGTERM, BATCH_SIGNAL)
_HOLD_SIGNALS = (
    "import os, signal, sys; "
    f"signal.pthread_sigmask(signal.SIG_BLOCK, {[int(number) for number in _HELD_SIGNALS]}); "
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)


def interpreter_command() -> str:
    """Return the shell command that starts Python in a job, with the batch system's signals blocked.

    Importing takes seconds, and a signal then would end the process before submitit has installed its
    handlers: a preempted job would count as completed and not be requeued. A blocked signal stays pending,
    also across exec, until the task unblocks it.
    """
    return shlex.join([sys.executable, "-I", "-S", "-c", _HOLD_SIGNALS])


class Task:
    """A job, as submitit pickles and calls it.

    Args:
        job: The job.
    """

    def __init__(self, job: Job) -> None:
        self.job = job

    def __call__(self) -> None:
        """Run the job unless it is finished: a job may be requeued just after its end."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD_SIGNALS)  # submitit handles them from here on
        if self.job.state is State.FINISHED:
            return
        if _is_requeued():
            (self.job.folder / FAILURE_FILE).unlink(missing_ok=True)
        _set_rank_environment()
        try:
            self.job.run()
        except KeyboardInterrupt as stop:
            cause: BaseException | None = stop
            while cause is not None and not isinstance(cause, Stopped):
                cause = cause.__cause__ or cause.__context__
            if cause is None:
                raise
            if cause.number == signal.SIGINT or not _may_requeue():
                raise SystemExit(str(stop)) from stop  # one line in the job's log, and exit code 1
            _requeue()
        if self.job.state is State.FAILED:
            raise SystemExit(1)

    def checkpoint(self) -> Any:
        """Return the call to make when the job is requeued: the same one."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def _is_requeued() -> bool:
    """Return whether this is the first rank of a requeued job.

    Before the first start, submission removes an earlier ``failure.txt``: a rank that starts late must not
    remove the one that an earlier rank has written.
    """
    return os.environ.get("SLURM_RESTART_COUNT", "0") != "0" and os.environ.get("SLURM_PROCID") == "0"


def _set_rank_environment() -> None:
    """Set torch.distributed's environment variables for local jobs; on Slurm, Lightning reads Slurm's."""
    if os.environ.get("SUBMITIT_EXECUTOR") == "local" and int(os.environ["SUBMITIT_LOCAL_NTASKS"]) > 1:
        from submitit.helpers import TorchDistributedEnvironment

        TorchDistributedEnvironment().export(set_cuda_visible_devices=False, overwrite=True)
        # submitit chooses from the range of the ephemeral ports
        os.environ["MASTER_PORT"] = str(_rendezvous_port(int(os.environ["SUBMITIT_LOCAL_JOB_ID"])))


def _rendezvous_port(job: int) -> int:
    """Return the rendezvous port of a local job: the same for all ranks, different for each job."""
    return _FIRST_PORT + job % _PORTS


def _may_requeue() -> bool:
    """Return whether this is a Slurm job that may requeue itself."""
    if os.environ.get("SUBMITIT_EXECUTOR") != "slurm":
        return False
    from submitit.core.job_environment import JobEnvironment

    try:
        return not Queue().is_ending(JobEnvironment().job_id)
    except ClusterError:
        return True


def _requeue() -> None:
    """Call submitit's signal handler, which requeues the job."""
    handler = signal.getsignal(BATCH_SIGNAL)
    if callable(handler):
        handler(BATCH_SIGNAL, None)
    # Only the first process requeues the job; the others end with it.
    time.sleep(_REQUEUE_GRACE)
    raise SystemExit(1)
