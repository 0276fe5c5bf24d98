"""Jobs in processes of their own and on Slurm, through submitit."""

from __future__ import annotations

import contextlib
import io
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import open_dict

from heritage.cluster.job import Job
from heritage.cluster.queue import Place, Queue, refuse_wrong_partition, require_slurm
from heritage.cluster.resources import LocalJobs, Shape, SlurmJobs, shape
from heritage.cluster.task import Task
from heritage.errors import ClusterError, ConfigError, MissingDependencyError
from heritage.runs.files import FAILURE_FILE
from heritage.runs.state import State

if TYPE_CHECKING:
    import submitit

Look = Callable[[], None]

_FOLDER = ".submitit"
_LOCAL_TICK, _SLURM_TICK = 0.5, 5.0
_LAST_WORDS = 15.0
"""Seconds that the other ranks have after one has failed: without it they would wait for half an hour."""
_SILENCE = 100
"""How often Slurm may leave a question unanswered: its controller is busy, or started anew."""


def run_local(jobs: list[Job], cluster: LocalJobs, folder: Path, look: Look) -> None:
    """Run jobs in processes of their own, some at once, and wait for them.

    Args:
        jobs: What to run.
        cluster: How.
        folder: For submitit's files and the jobs' output.
        look: Called whenever a job has ended.

    Raises:
        ConfigError: The Trainer expects other processes than would be started; more GPUs than there are.
    """
    if not jobs:
        return
    submitit = _submitit()
    form = _common_shape(jobs, cluster)
    slots = _slots(cluster, form)
    waiting = list(jobs)
    running: dict[int, tuple[Job, Any]] = {}
    failed: dict[int, float] = {}
    while waiting or running:
        for slot in range(len(slots)):
            if waiting and slot not in running:
                job = waiting.pop(0)
                print(f"#{job.number} {job.name}", flush=True)
                executor = submitit.LocalExecutor(folder / _FOLDER / "%j", max_num_timeout=0)
                executor.update_parameters(
                    tasks_per_node=form.tasks,
                    gpus_per_node=form.gpus,
                    visible_gpus=slots[slot],
                    timeout_min=cluster.time,
                )
                running[slot] = job, executor.submit(_prepared(job, form))
        time.sleep(_LOCAL_TICK)
        for slot, (job, ticket) in list(running.items()):
            if ticket.done():
                del running[slot]
                failed.pop(slot, None)
                look()
            elif form.tasks > 1 and job.state is State.FAILED and slot not in failed:
                failed[slot] = time.monotonic()
            elif time.monotonic() - failed.get(slot, math.inf) > _LAST_WORDS:
                _end_ranks(ticket)


def _end_ranks(ticket: Any) -> None:
    """End what is left of a local job.

    submitit's own way sends SIGINT, which a command that a script started in the background ignores.
    """
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        for rank in psutil.Process(int(ticket.job_id)).children():
            rank.kill()


def run_slurm(
    jobs: list[Job], cluster: SlurmJobs, folder: Path, tickets: dict[str, str], look: Look
) -> list[str]:
    """Submit jobs to Slurm, one as a job and several as an array, and wait for them.

    Jobs that an earlier start submitted and that are still in the queue are waited for, not submitted
    again.

    Args:
        jobs: What to run.
        cluster: How.
        folder: For submitit's files and the jobs' output.
        tickets: Slurm's number of each job, by the job's name; changed in place.
        look: Called whenever a job may have changed its state.

    Returns:
        Names of jobs that are still in the queue, where nobody is to wait.

    Raises:
        ClusterError: There is no Slurm here, or it refuses the jobs.
        ConfigError: The Trainer expects other processes than would be started.
    """
    if not jobs:
        return []
    _require_safeguard(jobs)
    require_slurm()
    queue = Queue()
    known = queue.places([tickets[job.name] for job in jobs if job.name in tickets])
    new = [job for job in jobs if tickets.get(job.name) not in known]
    for job in jobs:
        if job not in new:
            print(f"#{job.number} {job.name}: in the queue already, job {tickets[job.name]}", flush=True)
    if new:
        refuse_wrong_partition(cluster.partition, cluster.time)
        form = _common_shape(new, cluster)
        executor = _slurm_executor(cluster, form, folder, new)
        try:
            # submitit prints what sbatch says, and raises it: once is enough
            with contextlib.redirect_stderr(io.StringIO()), executor.batch():
                sent = [executor.submit(_prepared(job, form)) for job in new]
        except _submitit().core.utils.FailedJobError as error:
            raise ClusterError(
                f"Slurm refuses the job ({_reason(error)})", where="cluster", remedy="change what it asks for"
            ) from error
        for job, ticket in zip(new, sent, strict=True):
            tickets[job.name] = ticket.job_id
            print(f"#{job.number} {job.name}: Slurm job {ticket.job_id}", flush=True)
    look()
    names = [job.name for job in jobs]
    print(f"their output: {folder / _FOLDER}/<job>/; scancel <job> stops one", flush=True)
    if not cluster.wait:
        return names
    try:
        _await(jobs, tickets, queue, look)
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(
            "the jobs stay in Slurm's queue; the same command waits for them again, scancel stops them"
        ) from stop
    return []


def _await(jobs: list[Job], tickets: dict[str, str], queue: Queue, look: Look) -> None:
    open_jobs = list(jobs)
    missing: dict[str, int] = {}
    silent, said = 0, set[str]()
    while open_jobs:
        try:
            places = queue.places([tickets[job.name] for job in open_jobs])
        except ClusterError:
            silent += 1
            if silent > _SILENCE:
                raise
            time.sleep(_SLURM_TICK)
            continue
        silent = 0
        _say_what_is_stuck(open_jobs, tickets, places, said)
        for job in list(open_jobs):
            # A job that Slurm has lost sight of may still be between two states.
            gone = tickets[job.name] not in places
            missing[job.name] = missing.get(job.name, 0) + 1 if gone else 0
            if job.state is State.FINISHED or missing[job.name] > 1:
                open_jobs.remove(job)
                look()
        if open_jobs:
            time.sleep(_SLURM_TICK)


def _say_what_is_stuck(
    jobs: list[Job], tickets: dict[str, str], places: dict[str, Place], said: set[str]
) -> None:
    """Say once for each reason why a job may never start: Slurm takes what no node can give, and waits."""
    for job in jobs:
        place = places.get(tickets[job.name])
        if place is not None and place.stuck and place.reason not in said:
            said.add(place.reason)
            print(
                f"{job.name}: Slurm does not start job {tickets[job.name]} ({place.reason}); if no node "
                "can give what it asks for, scancel it and ask for less",
                flush=True,
            )


def _prepared(job: Job, form: Shape) -> Task:
    (job.folder / FAILURE_FILE).unlink(missing_ok=True)
    if form.tasks > 1 and job.config.trainer.devices == "auto":
        with open_dict(job.config):
            job.config.trainer.devices = form.tasks
    return Task(job)


def _require_safeguard(jobs: list[Job]) -> None:
    for job in jobs:
        if not job.task["callbacks"].get("safeguard"):
            raise ConfigError(
                "a job that Slurm stops would start anew each time",
                where="callbacks.safeguard",
                remedy="leave it as it is: it saves what the job goes on from",
            )


def _common_shape(jobs: list[Job], cluster: LocalJobs | SlurmJobs) -> Shape:
    forms = {shape(cluster, job.task["trainer"]) for job in jobs}
    if len(forms) > 1:
        raise ConfigError(
            "the jobs of a sweep must have the same shape",
            where="trainer",
            remedy="sweep over something else",
        )
    return forms.pop()


def _slots(cluster: LocalJobs, form: Shape) -> list[tuple[int, ...]]:
    import torch

    wanted, there = cluster.parallel * form.gpus, torch.cuda.device_count()
    if wanted > there:
        raise ConfigError(
            f"{cluster.parallel} jobs at once with {form.gpus} GPUs each, but there are {there}",
            where="cluster.parallel",
            remedy="run fewer at once",
        )
    return [tuple(range(k * form.gpus, (k + 1) * form.gpus)) for k in range(cluster.parallel)]


def _slurm_executor(cluster: SlurmJobs, form: Shape, folder: Path, jobs: list[Job]) -> submitit.SlurmExecutor:
    executor = _submitit().SlurmExecutor(folder / _FOLDER / "%j", max_num_timeout=cluster.max_timeouts)
    options: dict[str, Any] = {
        "job_name": f"heritage-{folder.name}",
        "time": cluster.time,
        "nodes": form.nodes,
        "ntasks_per_node": form.tasks,
        "gpus_per_node": form.gpus or None,
        "cpus_per_task": cluster.cpus,
        "mem": None if cluster.memory is None else f"{cluster.memory}GB",
        "partition": cluster.partition,
        "account": cluster.account,
        "qos": cluster.qos,
        "constraint": cluster.constraint,
        "signal_delay_s": cluster.notice,
        "array_parallelism": cluster.parallel,
        "setup": cluster.setup or None,
        # Where a site's default is not to queue jobs again, `scontrol requeue` would be refused.
        "additional_parameters": {"requeue": True, **cluster.extra},
        # A step does not inherit the job's cores; and where one rank dies the others would wait for it.
        "srun_args": [f"--cpus-per-task={cluster.cpus}", "--kill-on-bad-exit=1"],
    }
    executor.update_parameters(**{key: value for key, value in options.items() if value is not None})
    return executor


def _submitit() -> Any:
    try:
        import submitit
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "submitit is not installed", where="cluster", remedy="pip install 'heritage[slurm]'"
        ) from error
    return submitit


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if "error:" in line]
    return "; ".join(line.partition("error:")[2].strip() for line in lines) or str(error).partition("\n")[0]
