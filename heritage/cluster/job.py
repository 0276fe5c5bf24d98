"""A job: a training run whose configuration was fixed when it was submitted."""

from __future__ import annotations

import copy
import gc
import os
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import run_job, setup_globals
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from heritage.config.register import register
from heritage.core.files import write_text
from heritage.core.terminal import print_line
from heritage.errors import HeritageError
from heritage.runs.files import FAILURE_FILE
from heritage.runs.hydra_task import TaskError, carrying_errors
from heritage.runs.job_state import State, state_of
from heritage.runs.locks import run_locked
from heritage.runs.run_result import RunResult

_PATIENCE = 60.0
"""Seconds that a Slurm job waits for its run folder: a command that finds the job holds it briefly."""


@dataclass(frozen=True)
class Job:
    """A training run with a resolved configuration.

    A submitted job is pickled, so editing configuration files while it waits does not change it.

    Attributes:
        number: The job's position in the sweep.
        name: The values of the swept keys.
        folder: The run folder, absolute.
        overrides: The job's overrides.
        config: The composed and resolved configuration, with Hydra's own node.
        context: Hydra's context, which running the job requires.
    """

    number: int
    name: str
    folder: Path
    overrides: tuple[str, ...]
    config: DictConfig
    context: HydraContext

    @property
    def run_config(self) -> dict[str, Any]:
        """The run's configuration as plain data, without Hydra's node."""
        plain = OmegaConf.to_container(self.config)
        if not isinstance(plain, dict):
            raise TypeError(f"a configuration is a mapping, not {type(plain).__name__}")
        return {str(key): value for key, value in plain.items() if key != "hydra"}

    @property
    def state(self) -> State:
        """The state of the run folder."""
        return state_of(self.folder)

    def run(self) -> None:
        """Train, from the last checkpoint if there is one; an error is written to the run folder.

        Raises:
            BusyError: Another process runs this job.
            KeyboardInterrupt: A signal stopped the run.
        """
        with run_locked(self.folder, patience=_PATIENCE if "SLURM_JOB_ID" in os.environ else 0):
            self._run()

    def _run(self) -> None:
        from heritage.runs.files import CHECKPOINTS_FOLDER, LAST_CHECKPOINT

        setup_globals()
        register()
        config = copy.deepcopy(self.config)
        if (self.folder / CHECKPOINTS_FOLDER / LAST_CHECKPOINT).is_file():
            config.resume = str(self.folder)
        with _FailureRecorder(self.folder):
            run_job(
                hydra_context=self.context,
                task_function=carrying_errors(_train),
                config=config,
                job_dir_key="hydra.run.dir",
                job_subdir_key=None,
            )
        _release_resources()


def freeze(
    config: DictConfig,
    *,
    number: int,
    name: str,
    folder: Path,
    overrides: tuple[str, ...],
    context: HydraContext,
) -> Job:
    """Make a job: resolve all interpolations of a run's configuration.

    Args:
        config: The composed configuration, with Hydra's node.
        number: The job's position in the sweep.
        name: The job's name.
        folder: The run folder.
        overrides: The job's overrides.
        context: Hydra's context.
    """
    folder = folder.absolute()
    hydra = copy.deepcopy(config.hydra)
    with read_write(hydra), open_dict(hydra):
        hydra.run.dir = str(folder)
        hydra.runtime.output_dir = str(folder)
        hydra.job.num = number
        hydra.job.id = name
    whole = copy.deepcopy(config)
    with read_write(whole), open_dict(whole):
        whole.hydra = hydra
    before = HydraConfig.instance().cfg
    HydraConfig.instance().set_config(whole)  # ${hydra:…} is resolved from it
    try:
        ours = OmegaConf.masked_copy(whole, [str(key) for key in whole if key != "hydra"])
        frozen = DictConfig(OmegaConf.to_container(ours, resolve=True))
    finally:
        HydraConfig.instance().cfg = before
    frozen["hydra"] = hydra
    return Job(number, name, folder, overrides, frozen, context)


def _train(cfg: DictConfig) -> RunResult:
    from heritage.core.console import Console
    from heritage.core.terminal import escape_logs
    from heritage.training.fit import train

    escape_logs()
    return train(cfg, Console())


class _FailureRecorder:
    """Write a job's exception to ``failure.txt`` and suppress it, so that the other jobs run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if isinstance(fault, TaskError):
            fault = fault.error
        if not isinstance(fault, Exception):
            return False
        first = str(fault) if isinstance(fault, HeritageError) else f"{type(fault).__name__}: {fault}"
        details = "".join(traceback.format_exception(fault))
        write_text(self._folder / FAILURE_FILE, f"{' '.join(first.split())}\n\n{details}")
        print_line(f"failed: {first}", error=True)
        return True


def _release_resources() -> None:
    """Free what a run holds before the next one starts in this process."""
    if (wandb := sys.modules.get("wandb")) is not None:
        wandb.finish()  # otherwise the next logger would continue this run
    gc.collect()
    if (torch := sys.modules.get("torch")) is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
