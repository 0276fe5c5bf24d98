"""From the words of a multirun to its jobs, all checked before one starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from heritage.cluster.job import Job, freeze
from heritage.config.faults import FaultyConfigError
from heritage.config.validate import validate
from heritage.errors import CommandError
from heritage.runs.sweep_names import Experiment, experiment_of


@dataclass(frozen=True)
class Sweep:
    """A multirun, settled.

    Attributes:
        folder: Where its runs lie.
        experiment: What it is.
        jobs: Its runs.
        command: The words it was started with.
    """

    folder: Path
    experiment: Experiment
    jobs: tuple[Job, ...]
    command: tuple[str, ...]


def expand(
    config: DictConfig, overrides: Sequence[Sequence[str]], first: int, context: HydraContext
) -> Sweep:
    """Compose and check every job.

    Args:
        config: The configuration of the multirun, with Hydra's node.
        overrides: The words of each job.
        first: The number of the first job.
        context: What Hydra needs to compose and run.

    Raises:
        FaultyConfigError: Every fault of every job, each said once.
        CommandError: Two jobs are the same.
    """
    HydraConfig.instance().set_config(config)
    folder = Path(str(config.hydra.sweep.dir)).absolute()
    experiment = experiment_of(config.hydra)
    jobs = []
    faults: dict[str, None] = {}
    for number, words in enumerate(overrides, first):
        name = experiment.job(words)
        composed = context.config_loader.load_sweep_config(config, list(words))
        job = freeze(
            composed, number=number, name=name, folder=folder / name, words=tuple(words), context=context
        )
        jobs.append(job)
        try:
            validate(OmegaConf.create(job.task), "train")
        except FaultyConfigError as fault:
            faults |= dict.fromkeys(fault.faults)
    if faults:
        raise FaultyConfigError(list(faults))
    names = [job.name for job in jobs]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise CommandError("two jobs are the same", where=twice, remedy="list each value once")
    return Sweep(folder, experiment, tuple(jobs), tuple(config.hydra.overrides.task))
