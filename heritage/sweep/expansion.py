"""Expand a multirun into its jobs, and validate all of them before one starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from heritage.cluster.job import Job, freeze
from heritage.config.faults import FaultyConfigError
from heritage.config.overrides import expand_home
from heritage.config.validate import validate
from heritage.errors import CommandError
from heritage.runs.compat import first_name
from heritage.runs.sweep_names import Experiment, existing_name, experiment_of


@dataclass(frozen=True)
class Sweep:
    """A multirun and its jobs.

    Attributes:
        folder: The folder of the run folders.
        experiment: What identifies the sweep.
        jobs: The jobs.
        command: The overrides of the command line.
    """

    folder: Path
    experiment: Experiment
    jobs: tuple[Job, ...]
    command: tuple[str, ...]


def expand(
    config: DictConfig, overrides: Sequence[Sequence[str]], first: int, context: HydraContext
) -> Sweep:
    """Compose and validate every job.

    Args:
        config: The configuration of the multirun, with Hydra's node.
        overrides: The overrides of each job.
        first: The number of the first job.
        context: Hydra's context.

    Raises:
        FaultyConfigError: All faults of all jobs, each reported once.
        CommandError: Two jobs are the same.
    """
    HydraConfig.instance().set_config(config)
    folder = Path(str(config.hydra.sweep.dir)).absolute()
    experiment = experiment_of(config.hydra)
    jobs = []
    faults: dict[str, None] = {}
    for number, own in enumerate(overrides, first):
        earlier = experiment.with_first_names().job([first_name(word) for word in own])
        name = existing_name(folder, experiment.job(own), earlier)
        composed = context.config_loader.load_sweep_config(config, list(own))
        expand_home(composed, "train")
        job = freeze(
            composed, number=number, name=name, folder=folder / name, overrides=tuple(own), context=context
        )
        jobs.append(job)
        try:
            validate(OmegaConf.create(job.run_config), "train")
        except FaultyConfigError as fault:
            faults |= dict.fromkeys(fault.faults)
    if faults:
        raise FaultyConfigError(list(faults))
    names = [job.name for job in jobs]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise CommandError("two jobs are the same", where=twice, remedy="list each value once")
    return Sweep(folder, experiment, tuple(jobs), tuple(config.hydra.overrides.task))
