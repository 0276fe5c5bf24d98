"""Resume an interrupted run, in its own folder, with its own configuration and data only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from heritage.errors import CheckpointError
from heritage.runs.files import CHECKPOINTS_FOLDER, CONFIG_FILE, DATA_FILE, LAST_CHECKPOINT
from heritage.runs.record import read_config, read_json
from heritage.runs.setting_keys import is_harmless

_MAX_DIFFERENCES = 6  # in a message


def checkpoint_to_resume(folder: Path, resume: Any, config: dict[str, Any], fingerprint: str) -> Path | None:
    """Return the checkpoint to resume from, or None to start from the beginning.

    A run that was interrupted before its first checkpoint starts again, in the same folder.

    Args:
        folder: The run folder.
        resume: The value of ``resume`` in the configuration.
        config: The resolved configuration of this run.
        fingerprint: The fingerprint of its data set.

    Raises:
        CheckpointError: The folder has a run and ``resume`` is off, or a run with another configuration or
            data set.
    """
    last = folder / CHECKPOINTS_FOLDER / LAST_CHECKPOINT
    if resume is False or resume is None:
        if last.is_file():
            raise CheckpointError(
                "the folder already holds a run",
                where=folder,
                remedy="use resume=true, or choose another folder",
            )
        return None
    refuse_another_run(folder, config, fingerprint)
    return last if last.is_file() else None


def refuse_another_run(folder: Path, config: dict[str, Any], fingerprint: str) -> None:
    """Check that a folder has no run, or one with the same configuration and data set.

    Args:
        folder: The run folder.
        config: The resolved configuration of this run.
        fingerprint: The fingerprint of its data set.

    Raises:
        CheckpointError: It has another run; the message lists the differences.
    """
    if (folder / CONFIG_FILE).is_file():
        saved = read_config(folder)
        if "data" in config and config["data"].get("classes") is None:
            # the classes of the data set, which its fingerprint covers
            config = {**config, "data": {**config["data"], "classes": saved["data"].get("classes")}}
        _refuse_other_config(saved, config, folder)
    if read_json(folder, DATA_FILE).get("fingerprint", fingerprint) != fingerprint:
        raise CheckpointError("the run was trained on other data (its fingerprint differs)", where=folder,
                              remedy="restore the data set, or start a new run")  # fmt: skip


def differences(before: Any, now: Any, path: str = "") -> list[str]:
    """Return the differences of two configurations as ``key: old → new``; keys without effect are ignored."""
    if isinstance(before, dict) and isinstance(now, dict):
        keys = dict.fromkeys([*before, *now])
        nested = [
            differences(before.get(key), now.get(key), f"{path}.{key}" if path else str(key)) for key in keys
        ]
        return [line for lines in nested for line in lines]
    if before == now or is_harmless(path):
        return []
    return [f"{path}: {before} → {now}"]


def _refuse_other_config(before: Any, now: dict[str, Any], folder: Path) -> None:
    # the file is YAML: tuples are lists there
    as_written = OmegaConf.create(OmegaConf.to_yaml(OmegaConf.create(now)))
    changed = differences(before, OmegaConf.to_container(as_written))
    if changed:
        more = f" and {len(changed) - _MAX_DIFFERENCES} more" if len(changed) > _MAX_DIFFERENCES else ""
        raise CheckpointError(
            f"the run has another configuration: {', '.join(changed[:_MAX_DIFFERENCES])}{more}",
            where=folder,
            remedy="use the same options, or start a new run",
        )
