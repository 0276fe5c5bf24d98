"""Checks before a sweep starts or a job is submitted, since compute nodes may have no network."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Any

import torch
from omegaconf import OmegaConf

from heritage.cluster.job import Job
from heritage.cluster.resources import Cluster, InProcess
from heritage.data.split import made_split
from heritage.errors import CommandError, WeightsError
from heritage.models.hub import fetch_weights, weights_file
from heritage.models.network import NONE, is_pretrained
from heritage.runs.job_state import State
from heritage.runs.resume import refuse_another_run
from heritage.training.build import build_data


def check_inputs(jobs: Sequence[Job]) -> None:
    """Check the run folders of all jobs, and the data and weights of those that are not finished.

    Weights from the Hugging Face Hub are downloaded into the cache.

    Raises:
        DataError: The data cannot be read or split.
        WeightsError: Weights that a job starts from are not available.
        CheckpointError: A job's folder holds a run of another configuration or data set.
    """
    modules: dict[str, tuple[str, bool]] = {}  # fingerprint, and whether the source has a split
    for job in jobs:
        config = job.run_config
        data = unstaged(config["data"])
        key = json.dumps(data, sort_keys=True)
        if key not in modules:
            module = build_data(OmegaConf.create({**config, "data": data}))
            modules[key] = module.manifest.fingerprint, module.source_has_split
        fingerprint, has_split = modules[key]
        split = config["data"]["split"]
        made = {**split, "_target_": made_split(split["_target_"], has_split=has_split)}
        refuse_another_run(job.folder, {**config, "data": {**config["data"], "split": made}}, fingerprint)
        if job.state is not State.FINISHED:
            _check_weights(config["model"])


def unstaged(data: dict[str, Any]) -> dict[str, Any]:
    """Return a ``data`` node that reads the packed data set in place, without copying it to a node's disk.

    The local disk of a compute node does not exist here, or must not be filled.
    """
    if data["stage"] is None or data["packed"] is False:
        return data
    return {**data, "stage": None, "packed": True}


def _check_weights(model: dict[str, str]) -> None:
    weights = model.get("weights", NONE)
    if is_pretrained(weights) and "name" in model:
        fetch_weights(model["name"])
    elif not is_pretrained(weights) and weights != NONE and not weights_file(weights).is_file():
        raise WeightsError(
            "no such file", where=f"model.weights={weights}", remedy="give a checkpoint or a weights file"
        )


def check_multirun(jobs: Sequence[Job], cluster: Cluster) -> None:
    """Raise an error if jobs cannot run one after the other in this process.

    Lightning starts further processes by running the same command again, which in a multirun would be the
    whole sweep.

    Raises:
        CommandError: The message gives the command to use instead.
    """
    for job in jobs:
        trainer = job.run_config["trainer"]
        if job.config.resume not in (False, None):
            raise CommandError(
                "a sweep resumes automatically", where="resume", remedy="run the same command without it"
            )
        count = _devices(trainer["devices"], trainer["accelerator"]) * int(trainer["num_nodes"])
        if isinstance(cluster, InProcess) and count > 1:
            overrides = " ".join(map(shlex.quote, job.overrides))
            raise CommandError(
                f"a multirun cannot start {count} processes for a run",
                where=f"trainer.devices={trainer['devices']}",
                remedy="add cluster=local (or cluster=slurm), which starts them itself; or leave -m out and "
                f"start each run separately: python -m heritage.train {overrides}",
            )


def _devices(devices: int | str | list[int], accelerator: str) -> int:
    if isinstance(devices, list):
        return len(devices)
    if devices != "auto":
        return int(devices)
    return max(1, torch.cuda.device_count()) if accelerator in ("auto", "gpu") else 1
