"""Run jobs in subprocesses or on Slurm, through submitit."""

from __future__ import annotations

import contextlib
import io
import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import open_dict

from heritage.cluster.job import Job
from heritage.cluster.queue import JobStatus, Queue, require_partition, require_slurm
from heritage.cluster.resources import Allocation, LocalJobs, SlurmJobs, allocation_of
from heritage.cluster.task import Task, interpreter_command
from heritage.core.terminal import print_line
from heritage.errors import ClusterError, ConfigError, MissingDependencyError
from heritage.runs.files import FAILURE_FILE
from heritage.runs.job_state import State

if TYPE_CHECKING:
    import submitit

OnChange = Callable[[], None]

_FOLDER = ".submitit"
_LOCAL_INTERVAL, _SLURM_INTERVAL = 0.5, 5.0
"""Seconds between two checks of the running jobs."""
_RANK_GRACE = 15.0
"""Seconds until the other ranks are killed after one has failed; they would wait for half an hour."""
_MAX_FAILED_QUERIES = 100
"""How many queries in a row may fail: Slurm's controller may be busy or restarting."""


def run_local(jobs: list[Job], cluster: LocalJobs, folder: Path, on_change: OnChange) -> None:
    """Run jobs in subprocesses, some at the same time, and wait for them.

    Args:
        jobs: The jobs.
        cluster: The resources of each job.
        folder: Where submitit writes its files and the jobs' output.
        on_change: Called whenever a job has ended.

    Raises:
        ConfigError: The Trainer expects another number of processes, or there are too few GPUs.
    """
    if not jobs:
        return
    submitit = _submitit()
    size = _common_allocation(jobs, cluster)
    slots = _gpu_slots(cluster, size)
    files = _files_folder(folder)
    waiting = list(jobs)
    running: dict[int, tuple[Job, Any]] = {}
    failed: dict[int, float] = {}
    while waiting or running:
        for slot in range(len(slots)):
            if waiting and slot not in running:
                job = waiting.pop(0)
                print_line(f"#{job.number} {job.name}")
                executor = submitit.LocalExecutor(files / "%j", max_num_timeout=0)
                executor.update_parameters(
                    tasks_per_node=size.tasks,
                    gpus_per_node=size.gpus,
                    visible_gpus=slots[slot],
                    timeout_min=cluster.time,
                )
                running[slot] = job, executor.submit(_task(job, size))
        time.sleep(_LOCAL_INTERVAL)
        for slot, (job, handle) in list(running.items()):
            if handle.done():
                del running[slot]
                failed.pop(slot, None)
                on_change()
            elif size.tasks > 1 and job.state is State.FAILED and slot not in failed:
                failed[slot] = time.monotonic()
            elif time.monotonic() - failed.get(slot, math.inf) > _RANK_GRACE:
                _kill_ranks(handle)


def _kill_ranks(handle: Any) -> None:
    """Kill the remaining processes of a local job.

    submitit would send SIGINT, which is ignored by a command that a script started in the background.
    """
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        for rank in psutil.Process(int(handle.job_id)).children():
            rank.kill()


def run_slurm(
    jobs: list[Job], cluster: SlurmJobs, folder: Path, job_ids: dict[str, str], on_change: OnChange
) -> list[str]:
    """Submit jobs to Slurm (several as an array) and wait for them.

    Jobs that were submitted earlier and are still in the queue are not submitted again.

    Args:
        jobs: The jobs.
        cluster: The resources of each job.
        folder: Where submitit writes its files and the jobs' output.
        job_ids: Slurm's id of each submitted job, by the job's name; updated in place.
        on_change: Called whenever a job may have changed its state.

    Returns:
        Names of the jobs that are left in the queue, if ``cluster.wait`` is off.

    Raises:
        ClusterError: Slurm is not installed or rejects the jobs.
        ConfigError: The Trainer expects another number of processes.
    """
    if not jobs:
        return []
    _require_safeguard(jobs)
    require_slurm()
    queue = Queue()
    queued = queue.statuses([job_ids[job.name] for job in jobs if job.name in job_ids])
    new = [job for job in jobs if job_ids.get(job.name) not in queued]
    for job in jobs:
        if job not in new:
            print_line(f"#{job.number} {job.name}: already in the queue, job {job_ids[job.name]}")
    if new:
        require_partition(cluster.partition, cluster.time)
        size = _common_allocation(new, cluster)
        files = _files_folder(folder)
        executor = _slurm_executor(cluster, size, files)
        try:
            # submitit both prints and raises the error of sbatch
            with contextlib.redirect_stderr(io.StringIO()), executor.batch():
                submitted = [executor.submit(_task(job, size)) for job in new]
        except _submitit().core.utils.FailedJobError as error:
            raise ClusterError(
                f"Slurm rejects the job ({_reason(error)})",
                where="cluster",
                remedy="change the requested resources",
            ) from error
        for job, handle in zip(new, submitted, strict=True):
            job_ids[job.name] = handle.job_id
            print_line(f"#{job.number} {job.name}: Slurm job {handle.job_id}")
    on_change()
    names = [job.name for job in jobs]
    print_line(f"output: {folder / _FOLDER}/<start>/<job>/; scancel <job> stops a job")
    if not cluster.wait:
        return names
    try:
        _wait_for(jobs, job_ids, queue, on_change)
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(
            "the jobs stay in Slurm's queue; run the same command again to wait for them; "
            "scancel <job> stops a job"
        ) from stop
    return []


def _wait_for(jobs: list[Job], job_ids: dict[str, str], queue: Queue, on_change: OnChange) -> None:
    open_jobs = list(jobs)
    missing: dict[str, int] = {}
    failed_queries, reported = 0, set[str]()
    while open_jobs:
        try:
            statuses = queue.statuses([job_ids[job.name] for job in open_jobs])
        except ClusterError:
            failed_queries += 1
            if failed_queries > _MAX_FAILED_QUERIES:
                raise
            time.sleep(_SLURM_INTERVAL)
            continue
        failed_queries = 0
        _report_stuck_jobs(open_jobs, job_ids, statuses, reported)
        for job in list(open_jobs):
            # A job that is missing once may be between two states.
            gone = job_ids[job.name] not in statuses
            missing[job.name] = missing.get(job.name, 0) + 1 if gone else 0
            if job.state is State.FINISHED or missing[job.name] > 1:
                open_jobs.remove(job)
                on_change()
        if open_jobs:
            time.sleep(_SLURM_INTERVAL)


def _report_stuck_jobs(
    jobs: list[Job], job_ids: dict[str, str], statuses: dict[str, JobStatus], reported: set[str]
) -> None:
    """Print, once for each reason, why a job may never start: Slurm also accepts impossible requests."""
    for job in jobs:
        status = statuses.get(job_ids[job.name])
        if status is not None and status.is_stuck and status.reason not in reported:
            reported.add(status.reason)
            print_line(
                f"{job.name}: Slurm does not start job {job_ids[job.name]} ({status.reason}); if no node "
                "has the requested resources, scancel it and request less"
            )


def _task(job: Job, size: Allocation) -> Task:
    (job.folder / FAILURE_FILE).unlink(missing_ok=True)
    if size.tasks > 1 and job.config.trainer.devices == "auto":
        with open_dict(job.config):
            job.config.trainer.devices = size.tasks
    return Task(job)


def _require_safeguard(jobs: list[Job]) -> None:
    for job in jobs:
        if not job.run_config["callbacks"].get("safeguard"):
            raise ConfigError(
                "without it a job that Slurm stops would start from the beginning",
                where="callbacks.safeguard",
                remedy="leave it on: it saves the checkpoint that the job resumes from",
            )


def _common_allocation(jobs: list[Job], cluster: LocalJobs | SlurmJobs) -> Allocation:
    sizes = {allocation_of(cluster, job.run_config["trainer"]) for job in jobs}
    if len(sizes) > 1:
        raise ConfigError(
            "the jobs of a sweep must have the same number of processes",
            where="trainer",
            remedy="start a sweep for each number",
        )
    return sizes.pop()


def _gpu_slots(cluster: LocalJobs, size: Allocation) -> list[tuple[int, ...]]:
    """Return the GPUs of each job that runs at the same time."""
    import torch

    required, available = cluster.parallel * size.gpus, torch.cuda.device_count()
    if required > available:
        raise ConfigError(
            f"{cluster.parallel} jobs at once with {size.gpus} GPUs each, but there are {available}",
            where="cluster.parallel",
            remedy="run fewer at once",
        )
    return [tuple(range(k * size.gpus, (k + 1) * size.gpus)) for k in range(cluster.parallel)]


def _files_folder(folder: Path) -> Path:
    """Return a new folder for submitit's files, below that of a sweep or run.

    submitit runs what a file ``<job>/<job>_submitted.pkl`` holds and reads results from another one. In a new
    folder there are none but its own: the sweep's folder may come from somewhere else.

    Raises:
        ConfigError: It cannot be created.
    """
    above = folder / _FOLDER
    try:
        above.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=time.strftime("%Y-%m-%d_%H-%M-%S_"), dir=above))
    except OSError as error:
        raise ConfigError(
            f"cannot be written ({error.strerror})", where=above, remedy="remove it, or choose another folder"
        ) from error


def _slurm_executor(cluster: SlurmJobs, size: Allocation, files: Path) -> submitit.SlurmExecutor:
    executor = _submitit().SlurmExecutor(
        files / "%j", max_num_timeout=cluster.max_timeouts, python=interpreter_command()
    )
    options: dict[str, Any] = {
        "job_name": f"heritage-{files.parent.parent.name}",
        "time": cluster.time,
        "nodes": size.nodes,
        "ntasks_per_node": size.tasks,
        "gpus_per_node": size.gpus or None,
        "cpus_per_task": cluster.cpus,
        "mem": None if cluster.memory is None else f"{cluster.memory}GB",
        "partition": cluster.partition,
        "account": cluster.account,
        "qos": cluster.qos,
        "constraint": cluster.constraint,
        "signal_delay_s": cluster.notice,
        "array_parallelism": cluster.parallel,
        "setup": cluster.setup or None,
        # Some sites do not requeue jobs by default; `scontrol requeue` would then be rejected.
        "additional_parameters": {"requeue": True, **cluster.extra},
        # A step does not inherit the job's cores. If one rank dies, the others would wait for it.
        "srun_args": [f"--cpus-per-task={cluster.cpus}", "--kill-on-bad-exit=1"],
    }
    executor.update_parameters(**{key: value for key, value in options.items() if value is not None})
    return executor


def _submitit() -> Any:
    try:
        import submitit
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "submitit is not installed",
            where="cluster=local or cluster=slurm",
            remedy="pip install 'heritage[slurm]'",
        ) from error
    return submitit


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if "error:" in line]
    return "; ".join(line.partition("error:")[2].strip() for line in lines) or str(error).partition("\n")[0]
