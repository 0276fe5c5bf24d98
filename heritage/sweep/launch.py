"""Start a single run: in this process, on a cluster, or only its cost estimate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hydra._internal.callbacks import Callbacks  # no public name; hydra-core is pinned below 1.4
from hydra.core.hydra_config import HydraConfig
from hydra.types import HydraContext
from omegaconf import DictConfig, open_dict, read_write

from heritage.cluster.job import Job
from heritage.cluster.resources import InProcess
from heritage.core.console import Console
from heritage.errors import CommandError
from heritage.runs.files import JOB_ID_FILE, SWEEP_LOCK_FILE
from heritage.runs.folders import remove_unused_run_folder
from heritage.runs.input_paths import require_inputs

if TYPE_CHECKING:
    from heritage.runs.run_result import RunResult


def start(cfg: DictConfig) -> RunResult | None:
    """Run or submit a training run, or estimate its cost.

    Returns:
        The result of the run; None if only its cost was estimated.

    Raises:
        HeritageError: The run cannot start or did not finish.
    """
    chosen = HydraConfig.get().runtime.choices
    if chosen.get("sweep"):
        raise CommandError(
            "a sweep consists of several runs",
            where=f"+sweep={chosen['sweep']}",
            remedy="add -m to start them (from Python: multirun=True)",
        )
    from heritage.config.validate import validate

    console = Console()
    validate(cfg, "train")
    require_inputs(cfg)
    from heritage.sweep.loading import loaded

    with loaded(cfg):  # imports torch: after validation
        from heritage.sweep.driver import cluster_of

    job = _job(cfg)
    cluster = cluster_of(job)
    if cfg.plan:
        from heritage.sweep.cost import print_plan

        print_plan([job], cluster, console)
        remove_unused_run_folder()
    elif isinstance(cluster, InProcess):
        from heritage.training.fit import train

        return train(cfg, console)
    else:
        _submit(job, console)
        from heritage.runs.run_result import RunResult

        return RunResult("train", job.folder)
    return None


def _submit(job: Job, console: Console) -> None:
    from heritage.core.files import write_text
    from heritage.core.locks import locked
    from heritage.runs.job_state import State
    from heritage.runs.locks import release_run
    from heritage.runs.resume import checkpoint_to_resume
    from heritage.sweep.checks import check_inputs
    from heritage.sweep.driver import cluster_of, report_jobs, run_jobs

    release_run(job.folder)  # the job itself holds it
    again = f"run the same command with resume={job.folder}"
    with locked(job.folder / SWEEP_LOCK_FILE):
        if not job.config.resume:
            checkpoint_to_resume(job.folder, job.config.resume, {}, "")  # raises if the folder holds a run
        check_inputs([job])
        file = job.folder / JOB_ID_FILE
        job_ids = {job.name: file.read_text(encoding="utf-8").strip()} if file.is_file() else {}

        def write_job_id() -> None:
            if job.name in job_ids:
                write_text(file, f"{job_ids[job.name]}\n")

        try:
            queued = run_jobs([job], cluster_of(job), job.folder, job_ids, write_job_id)
        except KeyboardInterrupt as stop:
            what = "the job stays in Slurm's queue" if job.name in job_ids else "stopped"
            raise KeyboardInterrupt(f"{what}; {again} to continue") from stop
    states = {job.name: State.QUEUED if queued else job.state}
    report_jobs([job], states, console, job.folder, f"{again} to continue")
    if queued:
        console.print(f"{again} to wait for the job", highlight=False, soft_wrap=True)


def _job(cfg: DictConfig) -> Job:
    from heritage.cluster.job import freeze

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
        overrides=tuple(hydra.overrides.task),
        context=HydraContext(None, Callbacks()),  # type: ignore[arg-type]  # nothing more is composed
    )
