"""Resolve the folder that a run or a sweep writes to: a new one, or an existing one to resume."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from yaml import YAMLError  # type: ignore[import-untyped]

from heritage.errors import CheckpointError
from heritage.runs.compat import upgrade_override
from heritage.runs.files import (
    CHECKPOINTS_FOLDER,
    CONFIG_FILE,
    HYDRA_FOLDER,
    LAST_CHECKPOINT,
    LOCK_FILE,
    REPORT_FILE,
    SWEEP_LOCK_FILE,
)
from heritage.runs.plain_data import read_yaml
from heritage.runs.sweep_names import existing_name, experiment_of

_OF_A_RUN = (HYDRA_FOLDER, LOCK_FILE, CONFIG_FILE, f"{CHECKPOINTS_FOLDER}/{LAST_CHECKPOINT}")
_SWITCHES = {"true": ("yes", "y", "on", "1", "t"), "false": ("no", "n", "off", "0", "f", "none")}
"""How else people write booleans."""
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_OUTPUTS = "outputs"  # the default of paths.outputs, which Hydra made if nothing is in it


def home(path: str) -> str:
    """Return a path with the home directory in place of ``~``.

    The resolver ``${home:…}``: Hydra makes the run folder before any command sees the configuration.
    """
    return os.path.expanduser(path)  # noqa: PTH111  a Path would lose `./`


def sweep_folder(above: str, *, _root_: DictConfig) -> str:
    """Return the folder of a sweep; equal commands have the same folder, so that a sweep resumes.

    Args:
        above: The folder of all sweeps.
        _root_: The whole configuration, with the command line's overrides.
    """
    above = home(above)
    experiment = experiment_of(_root_.hydra)
    first = experiment.with_first_names().folder
    return f"{above}/{existing_name(Path(above), experiment.folder, first)}"


def run_folder(resume: Any, fresh: str, *, _root_: DictConfig) -> str:
    """Return the folder of a run.

    Args:
        resume: False for a new run; a run folder; or True for the newest unfinished run with the same
            overrides in the folders of all days beside that of ``fresh``.
        fresh: The folder of a new run, ``…/<date>/<time>_<choices>``.
        _root_: The whole configuration, with the command line's overrides.

    Raises:
        CheckpointError: There is no such folder or run, or ``resume`` and ``paths.run`` name different ones.
    """
    explicit = explicit_run_folder(_root_)
    if explicit is not None and resume in (None, False, True):
        return explicit
    fresh = home(fresh)
    if resume is False or resume is None:
        return fresh
    if resume is not True:
        folder = home(str(resume))
        if not Path(folder).is_dir():
            switch = next((word for word, forms in _SWITCHES.items() if str(resume).lower() in forms), None)
            raise CheckpointError(
                "no such run folder",
                where=f"resume={resume}",
                remedy=f"write resume={switch}" if switch else "give a folder below outputs/",
            )
        if not any((Path(folder) / name).exists() for name in _OF_A_RUN):
            raise CheckpointError(
                "the folder holds no run",
                where=f"resume={resume}",
                remedy="give a folder below outputs/; paths.run=<folder> starts a new run in one",
            )
        _require_regular_files(Path(folder))
        if explicit is not None and Path(explicit).resolve() != Path(folder).resolve():
            raise CheckpointError(
                "another folder than the one to resume",
                where=f"paths.run={explicit}",
                remedy=f"leave it out, or give resume=true instead of resume={resume}",
            )
        return folder
    given: Any = OmegaConf.select(_root_, "hydra.overrides.task")
    # as they were given: iterating would resolve interpolations inside them
    overrides = _without_resume([] if given is None else OmegaConf.to_container(given, resolve=False))
    above = Path(fresh).parent.parent
    started = sorted(above.glob(f"*/*/{HYDRA_FOLDER}/overrides.yaml"), reverse=True)
    for record in started:
        run = record.parent.parent
        if (run / REPORT_FILE).is_file():
            continue
        if _recorded(record) == overrides:
            return str(run)
    raise CheckpointError(
        f"no unfinished run of this command below {above}",
        where="resume=true",
        remedy="give its folder: resume=<run folder>",
    )


def _require_regular_files(folder: Path) -> None:
    """Check that a run folder holds files and folders alone: writing to a pipe would wait for a reader."""
    for path in sorted((*folder.glob("*"), *folder.glob("*/*"))):
        with contextlib.suppress(OSError):
            if not stat.S_ISREG(mode := path.stat().st_mode) and not stat.S_ISDIR(mode):
                raise CheckpointError(
                    "a pipe or device, where a run has a file",
                    where=path,
                    remedy="remove it, or restore the file",
                )


def explicit_run_folder(cfg: DictConfig) -> str | None:
    """Return ``paths.run`` if the command gives it; None if it is the folder that Hydra chooses."""
    paths = OmegaConf.select(cfg, "paths")
    if paths is None or OmegaConf.is_interpolation(paths, "run") or not paths.get("run"):
        return None
    return home(str(paths.run))


def remove_unused_run_folder() -> None:
    """Remove the folders that Hydra has created for a run or sweep in which nothing was written.

    The folders of the day, of the command, of all sweeps and of all outputs are removed, too, if they are
    empty.
    """
    hydra = HydraConfig.get()
    if hydra.output_subdir is not None and not OmegaConf.is_missing(hydra.runtime, "output_dir"):
        ours = {str(hydra.output_subdir), f"{hydra.job.name}.log", LOCK_FILE, SWEEP_LOCK_FILE}
        _remove(Path(str(hydra.runtime.output_dir)), ours, hydra.job.name)
    if hydra.mode == RunMode.MULTIRUN:
        _remove(Path(str(hydra.sweep.dir)), {"multirun.yaml", SWEEP_LOCK_FILE}, "sweeps")


def _remove(folder: Path, ours: set[str], group: str) -> None:
    if not folder.is_dir() or {path.name for path in folder.iterdir()} - ours:
        return
    shutil.rmtree(folder)
    for above in (folder.parent, folder.parent.parent, folder.parent.parent.parent):
        if above.name not in (group, _OUTPUTS) and not _DAY.fullmatch(above.name):
            break
        with contextlib.suppress(OSError):
            above.rmdir()


def _recorded(path: Path) -> list[str] | None:
    """Return the overrides that a run folder records; None if the file cannot be read."""
    try:
        words = read_yaml(path)
    except (OSError, YAMLError, ValueError):
        return None
    return _without_resume(words) if isinstance(words, list) else None


def _without_resume(overrides: Any) -> list[str]:
    """Return overrides with the current names of their keys, sorted, without ``resume``."""
    words = [str(word) for word in overrides]
    return sorted(upgrade_override(word) for word in words if not word.startswith("resume="))
