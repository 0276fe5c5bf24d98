"""Resume an interrupted run, in its own folder, with its own configuration and data only."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import OmegaConf

from heritage.core.hub import is_hub_address
from heritage.core.labels import hydra_word
from heritage.errors import CheckpointError
from heritage.runs.compat import upgrade_config
from heritage.runs.files import CHECKPOINTS_FOLDER, CONFIG_FILE, DATA_FILE, LAST_CHECKPOINT
from heritage.runs.record import read_config, read_json
from heritage.runs.setting_keys import is_harmless

_MAX_DIFFERENCES = 6  # in a message
_WORD = re.compile(r"[A-Za-z][\w.-]*", re.ASCII)  # a text that Hydra and the shell read as it is


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
            data set, or has lost its configuration; or ``resume`` names another folder.
    """
    if isinstance(resume, str) and Path(resume).resolve() != folder.resolve():
        raise CheckpointError(
            "another folder than the one to resume",
            where=folder,
            remedy=f"resume={resume} resumes in its own folder: leave out hydra.run.dir and paths.run",
        )
    last = folder / CHECKPOINTS_FOLDER / LAST_CHECKPOINT
    if resume is False or resume is None:
        refuse_occupied_folder(folder)
        return None
    if last.is_file() and not (folder / CONFIG_FILE).is_file():
        raise CheckpointError(
            f"the run has no {CONFIG_FILE} to compare this command with",
            where=folder,
            remedy="restore the file, or start a new run",
        )
    refuse_another_run(folder, config, fingerprint)
    return last if last.is_file() else None


def refuse_occupied_folder(folder: Path) -> None:
    """Check that a folder has no checkpoint of a run.

    Raises:
        CheckpointError: It has one.
    """
    if (folder / CHECKPOINTS_FOLDER / LAST_CHECKPOINT).is_file():
        raise CheckpointError(
            "the folder already holds a run",
            where=folder,
            remedy="use resume=true, or choose another folder",
        )


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
        _refuse_other_config(saved, _with_saved_commit(config, saved), folder)
    if read_json(folder, DATA_FILE).get("fingerprint", fingerprint) != fingerprint:
        raise CheckpointError("the run was trained on other data (its fingerprint differs)", where=folder,
                              remedy="restore the data set, or start a new run")  # fmt: skip


def _with_saved_commit(config: dict[str, Any], saved: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration whose weights on the hub have the commit that the run has recorded."""
    model, before = config.get("model"), (saved.get("model") or {}).get("weights")
    weights = model.get("weights") if isinstance(model, dict) else None
    if isinstance(before, str) and is_hub_address(weights) and before.startswith(f"{weights}@"):
        return {**config, "model": {**config["model"], "weights": before}}
    return config


class Difference(NamedTuple):
    """An entry that two configurations have with different values; None for one that lacks it."""

    key: str
    before: Any
    now: Any

    def __str__(self) -> str:
        return f"{self.key}: {_as_written(self.before)} → {_as_written(self.now)}"


def differences(before: Any, now: Any, path: str = "") -> list[Difference]:
    """Return the differences of two configurations; keys without effect are ignored."""
    if not path:
        before, now = _with_relative_paths(before), _with_relative_paths(now)
    if isinstance(before, dict) and isinstance(now, dict):
        keys = dict.fromkeys([*before, *now])
        nested = [
            differences(before.get(key), now.get(key), f"{path}.{key}" if path else str(key)) for key in keys
        ]
        return [one for several in nested for one in several]
    if before == now or is_harmless(path):
        return []
    return [Difference(path, before, now)]


def _with_relative_paths(config: Any) -> Any:
    """Return a configuration in which paths below its own ``paths`` are relative to them.

    Where a run is stored has no influence on it: its folder may be moved, or mounted elsewhere.
    """
    paths = config.get("paths") if isinstance(config, dict) else None
    if not isinstance(paths, dict):
        return config
    folders = [(str(paths[name]).rstrip("/"), f"<paths.{name}>") for name in ("run", "data", "outputs")
               if paths.get(name)]  # fmt: skip
    folders.sort(key=lambda pair: -len(pair[0]))

    def relative(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: relative(part) for key, part in value.items()}
        if isinstance(value, list):
            return [relative(part) for part in value]
        if isinstance(value, str):
            for folder, name in folders:
                if value.rstrip("/") == folder or value.startswith(f"{folder}/"):
                    return f"{name}{value.removeprefix(folder).rstrip('/')}"
        return value

    return {key: value if key == "paths" else relative(value) for key, value in config.items()}


def _refuse_other_config(before: Any, now: dict[str, Any], folder: Path) -> None:
    # the file is YAML: tuples are lists there
    as_written = OmegaConf.create(OmegaConf.to_yaml(OmegaConf.create(now)))
    changed = differences(before, upgrade_config(OmegaConf.to_container(as_written)))
    if changed:
        more = f" and {len(changed) - _MAX_DIFFERENCES} more" if len(changed) > _MAX_DIFFERENCES else ""
        raise CheckpointError(
            f"the run has another configuration: {', '.join(map(str, changed[:_MAX_DIFFERENCES]))}{more}",
            where=folder,
            remedy=_remedy(changed, now),
        )


def _remedy(changed: list[Difference], now: Mapping[str, Any]) -> str:
    """Return the options with which a run continues, if single values make the difference.

    These may be defaults that a later version has changed, so that the same command is not enough.
    """
    words = [_option(one, now) for one in changed]
    if len(words) > _MAX_DIFFERENCES or not all(words):
        return "use the same options, or start a new run"
    return f"add {' '.join(map(str, words))} to continue it, or start a new run"


def _option(one: Difference, now: Mapping[str, Any]) -> str | None:
    """Return the option that gives an entry its earlier value; None for entries that no option can set."""
    node: Any = now
    for key in one.key.split("."):
        if not isinstance(node, Mapping) or key not in node:
            return None
        node = node[key]
    plain = one.before is None or isinstance(one.before, bool | int | float)
    text = (
        isinstance(one.before, str) and _WORD.fullmatch(one.before) and hydra_word(one.before) == one.before
    )
    if not (plain or text):
        return None
    if one.key.endswith("_target_") or isinstance(node, dict | list):
        return None
    return f"{one.key}={_as_written(one.before)}"


def _as_written(value: Any) -> str:
    """Return a value as the command line has it."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
