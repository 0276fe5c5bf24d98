"""What is looked at before a sweep starts or a job is submitted: a compute node may have no network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf

from heritage.cluster.job import Job
from heritage.cluster.resources import Cluster, InProcess
from heritage.errors import CommandError, WeightsError
from heritage.models.hub import fetch_weights
from heritage.models.network import IMAGENET, NONE
from heritage.runs.resume import refuse_another_run
from heritage.runs.state import State
from heritage.training.build import build_data


def check_inputs(jobs: Sequence[Job]) -> None:
    """Read the data and find the weights of every job that is not finished, and know each folder again.

    Weights that the hub has are fetched into the cache here, where there is a network.

    Raises:
        DataError: The data cannot be read or split as a job wants.
        WeightsError: Weights that a job starts from are neither here nor to be had.
        CheckpointError: A job's folder holds a run of another configuration or data set.
    """
    fingerprints: dict[str, str] = {}
    for job in jobs:
        config = job.task
        data = where_it_lies(config["data"])
        key = json.dumps(data, sort_keys=True)
        if key not in fingerprints:
            fingerprints[key] = build_data(OmegaConf.create({**config, "data": data})).manifest.fingerprint
        refuse_another_run(job.folder, config, fingerprints[key])
        if job.state is not State.FINISHED:
            _find_weights(config["model"])


def where_it_lies(data: dict[str, Any]) -> dict[str, Any]:
    """Return a ``data`` node that reads a data set where it lies, as packed as staging wants it.

    A disk of a compute node's own is not here; where there is one of that name, it is not to be filled.
    """
    if data["stage"] is None or data["packed"] is False:
        return data
    return {**data, "stage": None, "packed": True}


def _find_weights(model: dict[str, str]) -> None:
    weights = model.get("weights", NONE)
    if weights == IMAGENET and "name" in model:
        fetch_weights(model["name"])
    elif weights not in (IMAGENET, NONE) and not Path(weights).is_file():
        raise WeightsError("no such file", where=f"model.weights={weights}", remedy="give a file of weights")


def refuse_what_multirun_breaks(jobs: Sequence[Job], cluster: Cluster) -> None:
    """Refuse jobs that cannot run one after the other in this process.

    Several processes on one machine are started by running the same command again, which in a multirun
    is the whole sweep.

    Raises:
        CommandError: What to write instead.
    """
    for job in jobs:
        trainer = job.task["trainer"]
        if job.config.resume not in (False, None):
            raise CommandError(
                "a sweep goes on by itself", where="resume", remedy="start the same command without it"
            )
        count = _devices(trainer["devices"], trainer["accelerator"]) * int(trainer["num_nodes"])
        if isinstance(cluster, InProcess) and count > 1:
            words = " ".join(_quoted(word) for word in job.words)
            raise CommandError(
                f"{count} processes a run cannot be started within a multirun",
                where=f"trainer.devices={trainer['devices']}",
                remedy="add cluster=local (or cluster=slurm), which starts them itself; or leave -m out and "
                f"start each run alone: python -m heritage.train {words}",
            )


def _devices(devices: int | str | list[int], accelerator: str) -> int:
    if isinstance(devices, list):
        return len(devices)
    if devices != "auto":
        return int(devices)
    return max(1, torch.cuda.device_count()) if accelerator in ("auto", "gpu") else 1


def _quoted(word: str) -> str:
    import shlex

    return shlex.quote(word)
