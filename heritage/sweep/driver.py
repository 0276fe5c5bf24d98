"""Brings the jobs of a sweep to their ends: skips, goes on, starts, and sums up."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Table

from heritage.cluster.job import Job
from heritage.cluster.resources import Cluster, InProcess, LocalJobs
from heritage.core.files import locked
from heritage.errors import BusyError, CommandError, SweepError
from heritage.runs.files import METRICS_FILE
from heritage.runs.state import State, failure_of
from heritage.sweep.checks import check_inputs, refuse_what_multirun_breaks
from heritage.sweep.expansion import Sweep
from heritage.sweep.index import Index

LOCK_FILE = ".sweep.lock"


def sweep(sweep: Sweep) -> None:
    """Run what is not finished yet.

    Finished jobs are skipped, interrupted ones go on, failed ones are run again if ``retry_failed``.

    Raises:
        HeritageError: The sweep cannot start; nothing was.
        SweepError: Not all jobs finished.
    """
    console = Console()
    cluster = _settings(sweep.jobs)
    if sweep.jobs[0].config.plan:
        from heritage.sweep.cost import print_plan

        print_plan(sweep.jobs, cluster, console)
        return
    refuse_what_multirun_breaks(sweep.jobs, cluster)
    with locked(sweep.folder / LOCK_FILE):
        index = Index(sweep)
        check_inputs(sweep.jobs)
        states = {job.name: job.state for job in sweep.jobs}
        todo = [job for job in sweep.jobs if _wanted(job, states[job.name])]
        index.write(states)
        console.print(f"sweep {sweep.folder}: {_counted(states.values())}", highlight=False, soft_wrap=True)
        left: list[str] = []
        try:
            left = run_jobs(todo, cluster, sweep.folder, index.tickets, lambda: index.write(_now(sweep)))
        finally:
            states = _now(sweep) | dict.fromkeys(left, State.QUEUED)
            index.write(states)
    remedy = "the same command goes on with those that are not finished"
    if State.FAILED in states.values():
        remedy += "; retry_failed=true also runs the failed ones again"
    sum_up(sweep.jobs, states, console, sweep.folder, remedy)


def run_jobs(
    jobs: list[Job], cluster: Cluster, folder: Path, tickets: dict[str, str], look: Any
) -> list[str]:
    """Run jobs where the configuration says.

    Args:
        jobs: What to run.
        cluster: Where.
        folder: For what submitit writes.
        tickets: The batch system's number of each job, by the job's name; changed in place.
        look: Called whenever a job's state may have changed.

    Returns:
        Names of jobs that a batch system still has, where nobody is to wait for them.
    """
    if isinstance(cluster, InProcess):
        for job in jobs:
            print(f"#{job.number} {job.name}", flush=True)
            try:
                job.run()
            except BusyError as fault:
                print(f"left alone: {fault}", file=sys.stderr)
            except KeyboardInterrupt as stop:
                raise KeyboardInterrupt(
                    f"stopped in job {job.name}; the same command goes on where it stopped"
                ) from stop
            look()
        return []
    from heritage.cluster.submission import run_local, run_slurm

    if isinstance(cluster, LocalJobs):
        run_local(jobs, cluster, folder, look)
        return []
    return run_slurm(jobs, cluster, folder, tickets, look)


def sum_up(
    jobs: Iterable[Job],
    states: dict[str, State],
    console: Console,
    folder: Path,
    remedy: str,
) -> None:
    """Print each job's state and scores.

    Args:
        jobs: The jobs.
        states: Their states, by name.
        console: Where to print.
        folder: What holds them.
        remedy: What to do about those that did not finish.

    Raises:
        SweepError: A job did not finish.
    """
    jobs = list(jobs)
    table = Table(title=f"Jobs of {folder}", title_justify="left")
    for name in ("job", "state", "accuracy", "macro-F1"):
        table.add_column(name, justify="left" if name in ("job", "state") else "right", overflow="fold")
    for job in jobs:
        table.add_row(job.name, str(states[job.name]), *_scores(job.folder))
    console.print(table)
    for job in jobs:
        if states[job.name] is State.FAILED:
            console.print(f"{job.name}: {failure_of(job.folder)}", highlight=False, soft_wrap=True)
    open_ends = [state for state in states.values() if state not in (State.FINISHED, State.QUEUED)]
    if open_ends:
        raise SweepError(
            f"{len(open_ends)} of {len(jobs)} jobs did not finish ({_counted(states.values())})",
            where=folder,
            remedy=remedy,
        )


def _wanted(job: Job, state: State) -> bool:
    if state is State.FAILED:
        return bool(job.config.retry_failed)
    return state is not State.FINISHED


def _settings(jobs: Iterable[Job]) -> Cluster:
    """Return where to run, which all jobs must agree on."""
    found = {json.dumps(job.task["cluster"], sort_keys=True): job for job in jobs}
    if len(found) > 1:
        raise CommandError(
            "the jobs of a sweep run in one place with one shape",
            where="cluster",
            remedy="sweep over something else, and start a sweep for each shape",
        )
    (job,) = found.values()
    return cluster_of(job)


def cluster_of(job: Job) -> Cluster:
    """Return where a job is to run."""
    # Hydra would wrap our errors in its own if it called the class itself.
    cluster: Cluster = instantiate(OmegaConf.create(job.task["cluster"]), _partial_=True, _convert_="all")()
    return cluster


def _now(sweep: Sweep) -> dict[str, State]:
    return {job.name: job.state for job in sweep.jobs}


def _counted(states: Iterable[State]) -> str:
    states = list(states)
    return ", ".join(f"{states.count(state)} {state}" for state in State if state in states)


def _scores(folder: Path) -> tuple[str, str]:
    file = folder / METRICS_FILE
    if not file.is_file():
        return "", ""
    metrics = json.loads(file.read_text(encoding="utf-8"))
    return f"{metrics['accuracy']:.4f}", f"{metrics['macro_avg']['f1']:.4f}"
