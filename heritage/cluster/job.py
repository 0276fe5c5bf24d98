"""One run of a sweep: frozen when the sweep starts, run here or wherever it is sent."""

from __future__ import annotations

import contextlib
import copy
import gc
import os
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import run_job, setup_globals
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from heritage.config.register import register
from heritage.core.files import locked, write_text
from heritage.errors import HeritageError
from heritage.runs.files import FAILURE_FILE, LOCK_FILE
from heritage.runs.result import TrainResult
from heritage.runs.state import State, state_of


@dataclass(frozen=True)
class Job:
    """A run whose configuration is settled.

    It is pickled as it is: what it runs does not change when files do, while it waits.

    Attributes:
        number: Its place among the jobs of the sweep.
        name: The values of what the sweep varies.
        folder: The run folder, absolute.
        words: Its overrides.
        config: The composed configuration, Hydra's own node included; nothing is left to be resolved.
        context: What Hydra needs to run it.
    """

    number: int
    name: str
    folder: Path
    words: tuple[str, ...]
    config: DictConfig
    context: HydraContext

    @property
    def task(self) -> dict[str, Any]:
        """The run's configuration as plain data, Hydra's node left out."""
        plain = OmegaConf.to_container(self.config)
        if not isinstance(plain, dict):
            raise TypeError(f"a configuration is a mapping, not {type(plain).__name__}")
        return {str(key): value for key, value in plain.items() if key != "hydra"}

    @property
    def state(self) -> State:
        """What its folder says."""
        return state_of(self.folder)

    def run(self) -> None:
        """Run it, from its checkpoint if there is one; a fault is written to its folder.

        Raises:
            BusyError: Another process runs it.
            KeyboardInterrupt: A signal stopped it.
        """
        with _alone(self.folder):
            self._run()

    def _run(self) -> None:
        from heritage.runs.files import CHECKPOINTS_FOLDER, LAST_CHECKPOINT

        setup_globals()
        register()
        config = copy.deepcopy(self.config)
        if (self.folder / CHECKPOINTS_FOLDER / LAST_CHECKPOINT).is_file():
            config.resume = str(self.folder)
        with _Isolated(self.folder):
            done = run_job(
                hydra_context=self.context,
                task_function=_train,
                config=config,
                job_dir_key="hydra.run.dir",
                job_subdir_key=None,
            )
            _ = done.return_value  # raises what the run raised
        _clear_away()


def freeze(
    config: DictConfig, *, number: int, name: str, folder: Path, words: tuple[str, ...], context: HydraContext
) -> Job:
    """Settle a run's configuration: interpolations become what they stand for now.

    Args:
        config: As composed, with Hydra's node.
        number: Its place among the jobs of the sweep.
        name: What to call it.
        folder: The run folder.
        words: Its overrides.
        context: What Hydra needs to run it.
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
    HydraConfig.instance().set_config(whole)  # what ${hydra:…} is resolved from
    try:
        mine = OmegaConf.masked_copy(whole, [str(key) for key in whole if key != "hydra"])
        frozen = DictConfig(OmegaConf.to_container(mine, resolve=True))
    finally:
        HydraConfig.instance().cfg = before
    frozen["hydra"] = hydra
    return Job(number, name, folder, words, frozen, context)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    # Slurm runs a job once; and a lock whose node died may outlive it on a shared disk.
    if "SLURM_JOB_ID" in os.environ or int(os.environ.get("SUBMITIT_LOCAL_GLOBALID", "0")):
        yield
        return
    with locked(folder / LOCK_FILE):
        yield


def _train(cfg: DictConfig) -> TrainResult:
    from rich.console import Console

    from heritage.training.fit import train

    return train(cfg, Console())


class _Isolated:
    """Keeps a job's fault from the other jobs, and writes it down."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(fault, Exception):
            return False
        first = str(fault) if isinstance(fault, HeritageError) else f"{type(fault).__name__}: {fault}"
        details = "".join(traceback.format_exception(fault))
        write_text(self._folder / FAILURE_FILE, f"{' '.join(first.split())}\n\n{details}")
        print(f"failed: {first}", file=sys.stderr)
        return True


def _clear_away() -> None:
    """Leave nothing of a run to the next one in this process."""
    if (wandb := sys.modules.get("wandb")) is not None:
        wandb.finish()  # a second logger would go on in the first one's run
    gc.collect()
    if (torch := sys.modules.get("torch")) is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
