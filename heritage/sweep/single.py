"""A single run: right here, submitted, or only planned."""

from __future__ import annotations

from pathlib import Path

from hydra._internal.callbacks import Callbacks
from hydra.core.hydra_config import HydraConfig
from hydra.types import HydraContext
from omegaconf import DictConfig, open_dict, read_write
from rich.console import Console

from heritage.cluster.resources import Here
from heritage.errors import CommandError
from heritage.sweep.job import Job


def start(cfg: DictConfig) -> None:
    """Run, submit or plan what one command asks.

    Raises:
        HeritageError: Whatever stops it.
    """
    chosen = HydraConfig.get().runtime.choices
    if chosen.get("sweep"):
        raise CommandError(
            "a sweep is many runs", where=f"+sweep={chosen['sweep']}", remedy="add -m to start them"
        )
    from heritage.config.validate import validate
    from heritage.sweep.driver import cluster_of

    console = Console()
    validate(cfg, "train")
    job = _job(cfg)
    cluster = cluster_of(job)
    if cfg.plan:
        from heritage.sweep.plan import print_plan

        print_plan([job], cluster, console)
    elif isinstance(cluster, Here):
        from heritage.experiment import train

        train(cfg, console)
    else:
        _submit(job, console)


def _submit(job: Job, console: Console) -> None:
    from heritage.resume import checkpoint_to_resume
    from heritage.sweep.checks import check_inputs
    from heritage.sweep.driver import cluster_of, run_jobs, sum_up
    from heritage.sweep.state import State

    if not job.config.resume:
        checkpoint_to_resume(job.folder, job.config.resume, {}, "")  # refuses a folder that holds a run
    check_inputs([job])
    left = run_jobs([job], cluster_of(job), job.folder, {}, lambda: None)
    sum_up([job], {job.name: State.QUEUED if left else job.state}, console, job.folder)


def _job(cfg: DictConfig) -> Job:
    from heritage.sweep.job import freeze

    hydra = HydraConfig.get()
    folder = Path(str(cfg.paths.run))
    whole = cfg.copy()
    with read_write(whole), open_dict(whole):
        whole.hydra = hydra
    return freeze(
        whole,
        number=0,
        name=folder.name,
        folder=folder,
        words=tuple(hydra.overrides.task),
        context=HydraContext(None, Callbacks()),  # type: ignore[arg-type]  # nothing is composed any more
    )
