"""Run the jobs of a sweep: skip finished ones, resume interrupted ones, start the others, summarise."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path

from hydra.utils import instantiate
from omegaconf import OmegaConf
from rich.table import Table

from heritage.cluster.job import Job
from heritage.cluster.resources import Cluster, InProcess, LocalJobs
from heritage.core.console import Console
from heritage.core.labels import hydra_word
from heritage.core.locks import locked
from heritage.core.terminal import own_command, print_line
from heritage.errors import BusyError, CommandError, SweepError
from heritage.runs.files import METRICS_FILE, SWEEP_LOCK_FILE
from heritage.runs.folders import remove_unused_run_folder
from heritage.runs.job_state import State, failure_of
from heritage.runs.record import read_json
from heritage.sweep.checks import check_inputs, check_multirun
from heritage.sweep.expansion import Sweep
from heritage.sweep.index import Index


def run_sweep(sweep: Sweep) -> None:
    """Run all jobs of a sweep that are not finished.

    Finished jobs are skipped, interrupted ones are resumed, failed ones run again if ``retry_failed`` is set.

    Raises:
        HeritageError: The sweep cannot start; no job was started.
        SweepError: Not all jobs finished.
    """
    console = Console()
    cluster = _common_cluster(sweep.jobs)
    if sweep.jobs[0].config.plan:
        from heritage.sweep.cost import print_plan

        to_run = [job for job in sweep.jobs if _is_to_run(job, job.state)]
        print_plan(sweep.jobs, cluster, console, to_run=to_run)
        remove_unused_run_folder()
        return
    check_multirun(sweep.jobs, cluster)
    with locked(sweep.folder / SWEEP_LOCK_FILE):
        index = Index(sweep)
        check_inputs(sweep.jobs)
        states = {job.name: job.state for job in sweep.jobs}
        todo = [job for job in sweep.jobs if _is_to_run(job, states[job.name])]
        index.write(states)
        console.print(
            f"sweep {sweep.folder}: {_count_states(states.values())}", highlight=False, soft_wrap=True
        )
        queued: list[str] = []
        try:
            queued = run_jobs(todo, cluster, sweep.folder, index.job_ids, lambda: index.write(_states(sweep)))
        finally:
            states = _states(sweep) | dict.fromkeys(queued, State.QUEUED)
            index.write(states)
    remedy = "run the same command again to resume those that are not finished"
    if State.FAILED in states.values():
        remedy += "; retry_failed=true also runs the failed ones again"
    report_jobs(sweep.jobs, states, console, sweep.folder, remedy)


def run_jobs(
    jobs: list[Job],
    cluster: Cluster,
    folder: Path,
    job_ids: dict[str, str],
    on_change: Callable[[], None],
) -> list[str]:
    """Run jobs in this process, in local subprocesses or on Slurm.

    Args:
        jobs: The jobs.
        cluster: Where to run them.
        folder: Where submitit writes its files.
        job_ids: The batch system's id of each job, by the job's name; updated in place.
        on_change: Called whenever a job's state may have changed.

    Returns:
        Names of the jobs that are left in the batch system's queue, if they are not to be waited for.
    """
    if isinstance(cluster, InProcess):
        for job in jobs:
            print_line(f"#{job.number} {job.name}")
            try:
                job.run()
            except BusyError as fault:
                print_line(f"skipped: {fault}", error=True)
            except KeyboardInterrupt as stop:
                raise KeyboardInterrupt(
                    f"stopped in job {job.name}; run the same command again to resume"
                ) from stop
            on_change()
        return []
    from heritage.cluster.submission import run_local, run_slurm

    if isinstance(cluster, LocalJobs):
        run_local(jobs, cluster, folder, on_change)
        return []
    return run_slurm(jobs, cluster, folder, job_ids, on_change)


def report_jobs(
    jobs: Iterable[Job],
    states: dict[str, State],
    console: Console,
    folder: Path,
    remedy: str,
) -> None:
    """Print each job's state and metrics.

    Args:
        jobs: The jobs.
        states: Their states, by name.
        console: The console to print to.
        folder: The folder of the sweep or run.
        remedy: What to do about jobs that did not finish.

    Raises:
        SweepError: A job did not finish.
    """
    jobs = list(jobs)
    table = Table(title=f"Jobs of {folder}", title_justify="left")
    for name in ("job", "state", "accuracy", "macro-F1"):
        table.add_column(name, justify="left" if name in ("job", "state") else "right", overflow="fold")
    for job in jobs:
        table.add_row(job.name, str(states[job.name]), *_metrics(job.folder))
    console.print(table)
    for job in jobs:
        if states[job.name] is State.FAILED:
            console.print(f"{job.name}: {failure_of(job.folder)}", highlight=False, soft_wrap=True)
    unfinished = [state for state in states.values() if state not in (State.FINISHED, State.QUEUED)]
    if unfinished:
        raise SweepError(
            f"{len(unfinished)} of {len(jobs)} jobs did not finish ({_count_states(states.values())})",
            where=folder,
            remedy=remedy,
        )
    if sum(state is State.FINISHED for state in states.values()) > 1:
        words = [*own_command(), "compare", f"runs={hydra_word(str(folder))}"]
        console.print(f"next: {shlex.join(words)}", highlight=False, soft_wrap=True)


def _is_to_run(job: Job, state: State) -> bool:
    if state is State.FAILED:
        return bool(job.config.retry_failed)
    return state is not State.FINISHED


def _common_cluster(jobs: Iterable[Job]) -> Cluster:
    """Return where to run, which must be the same for all jobs."""
    different = {json.dumps(job.run_config["cluster"], sort_keys=True): job for job in jobs}
    if len(different) > 1:
        raise CommandError(
            "all jobs of a sweep must have the same value",
            where="cluster",
            remedy="start a sweep for each value",
        )
    (job,) = different.values()
    return cluster_of(job)


def cluster_of(job: Job) -> Cluster:
    """Return where a job is to run."""
    # Calling the class here, not in Hydra, keeps our errors unwrapped.
    cluster: Cluster = instantiate(
        OmegaConf.create(job.run_config["cluster"]), _partial_=True, _convert_="all"
    )()
    return cluster


def _states(sweep: Sweep) -> dict[str, State]:
    return {job.name: job.state for job in sweep.jobs}


def _count_states(states: Iterable[State]) -> str:
    states = list(states)
    return ", ".join(f"{states.count(state)} {state}" for state in State if state in states)


def _metrics(folder: Path) -> tuple[str, str]:
    metrics = read_json(folder, METRICS_FILE)
    scores = metrics.get("accuracy"), metrics.get("macro_avg", {}).get("f1")
    accuracy, macro_f1 = ("" if score is None else f"{score:.4f}" for score in scores)
    return accuracy, macro_f1
