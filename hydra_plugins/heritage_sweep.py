"""The Hydra launcher of sweeps: Hydra expands the command line, `heritage.sweep` runs the jobs.

Hydra searches the namespace `hydra_plugins` for launchers and imports all of them at every start, so nothing
heavy is imported here before jobs are launched.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class SweepLauncher(Launcher):
    """Passes the jobs of a multirun to `heritage.sweep.driver`."""

    def __init__(self) -> None:
        self._context: HydraContext | None = None
        self._config: DictConfig | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep the context and configuration; the task is always a training run."""
        self._context, self._config = hydra_context, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run all jobs.

        Raises:
            HeritageError: The sweep cannot start, or jobs failed.
        """
        from heritage.errors import BusyError, HeritageError
        from heritage.runs.folders import remove_unused_run_folder
        from heritage.sweep.expansion import expand

        if self._context is None or self._config is None:
            raise RuntimeError("Hydra calls setup first")
        try:
            sweep = expand(self._config, job_overrides, initial_job_idx, self._context)
            from heritage.sweep.driver import run_sweep  # imports torch: after validation

            run_sweep(sweep)
        except BusyError:
            raise
        except HeritageError:
            remove_unused_run_folder()
            raise
        return [_job_return(job.folder, job.overrides) for job in sweep.jobs]


def _job_return(folder: Path, overrides: Sequence[str]) -> JobReturn:
    """Return a job's result as its folder records it: a finished job may have run in an earlier command.

    The value of a job without objective, such as one that is still queued, is None.
    """
    from heritage.runs.run_result import RunResult

    result = RunResult("train", folder if folder.is_dir() else None)  # a queued job, or plan=true
    done = JobReturn()
    done.overrides = list(overrides)
    done.working_dir = str(folder)
    done.status = JobStatus.COMPLETED
    done.return_value = result if result.objective is not None else None
    return done
