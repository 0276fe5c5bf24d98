"""Going on with an interrupted run: only in its own folder, with its own configuration and data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from heritage.errors import CheckpointError
from heritage.runs.compat import upgrade_config
from heritage.runs.files import CHECKPOINTS_FOLDER, CONFIG_FILE, DATA_FILE, LAST_CHECKPOINT
from heritage.runs.sweep_names import is_harmless

_NAMED = 6


def checkpoint_to_resume(folder: Path, resume: Any, config: dict[str, Any], fingerprint: str) -> Path | None:
    """Return the checkpoint to go on from, or None for a new start.

    A run that was stopped before its first checkpoint starts anew, in the same folder.

    Args:
        folder: The run folder.
        resume: The configuration's ``resume``.
        config: This run's resolved configuration.
        fingerprint: This run's data fingerprint.

    Raises:
        CheckpointError: The folder holds a run that nobody asked to go on with, or one of another
            configuration or data set.
    """
    last = folder / CHECKPOINTS_FOLDER / LAST_CHECKPOINT
    if resume is False or resume is None:
        if last.is_file():
            raise CheckpointError(
                "the folder already holds a run",
                where=folder,
                remedy="go on with resume=true, or choose another",
            )
        return None
    refuse_another_run(folder, config, fingerprint)
    return last if last.is_file() else None


def refuse_another_run(folder: Path, config: dict[str, Any], fingerprint: str) -> None:
    """Refuse a folder that holds a run of another configuration or data set.

    Args:
        folder: The run folder; one without a run will do.
        config: This run's resolved configuration.
        fingerprint: This run's data fingerprint.

    Raises:
        CheckpointError: It holds another run; the message says what differs.
    """
    before = folder / CONFIG_FILE
    if before.is_file():
        saved = upgrade_config(OmegaConf.to_container(OmegaConf.load(before)))
        if "data" in config and config["data"].get("classes") is None:
            # the classes of the data set, which its fingerprint covers
            config = {**config, "data": {**config["data"], "classes": saved["data"].get("classes")}}
        _refuse_other_config(saved, config, folder)
    data = folder / DATA_FILE
    if data.is_file() and json.loads(data.read_text(encoding="utf-8"))["fingerprint"] != fingerprint:
        raise CheckpointError("the run saw other data (its fingerprint differs)", where=folder,
                              remedy="restore the data set, or start a new run")  # fmt: skip


def differences(before: Any, now: Any, path: str = "") -> list[str]:
    """Return where two configurations differ, as ``key: old → new``."""
    if isinstance(before, dict) and isinstance(now, dict):
        keys = dict.fromkeys([*before, *now])
        found = [
            differences(before.get(key), now.get(key), f"{path}.{key}" if path else str(key)) for key in keys
        ]
        return [line for lines in found for line in lines]
    if before == now or is_harmless(path):
        return []
    return [f"{path}: {before} → {now}"]


def _refuse_other_config(before: Any, now: dict[str, Any], folder: Path) -> None:
    # Through YAML and back, as the file was: tuples become lists.
    as_written = OmegaConf.create(OmegaConf.to_yaml(OmegaConf.create(now)))
    found = differences(before, OmegaConf.to_container(as_written))
    if found:
        more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        raise CheckpointError(
            f"the run has another configuration: {', '.join(found[:_NAMED])}{more}",
            where=folder,
            remedy="give the same options, or start a new run",
        )
