"""Resolve the folder that a run or a sweep writes to: a new one, or an existing one to resume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from yaml import YAMLError  # type: ignore[import-untyped]

from heritage.errors import CheckpointError
from heritage.runs.compat import upgrade_override
from heritage.runs.files import HYDRA_FOLDER, REPORT_FILE
from heritage.runs.plain_data import read_yaml
from heritage.runs.sweep_names import existing_name, experiment_of


def sweep_folder(above: str, *, _root_: DictConfig) -> str:
    """Return the folder of a sweep; equal commands have the same folder, so that a sweep resumes.

    Args:
        above: The folder of all sweeps.
        _root_: The whole configuration, with the command line's overrides.
    """
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
    if resume is False or resume is None:
        return fresh
    if resume is not True:
        if not Path(str(resume)).is_dir():
            raise CheckpointError(
                "no such run folder", where=f"resume={resume}", remedy="give a folder below outputs/"
            )
        if explicit is not None and Path(explicit).resolve() != Path(str(resume)).resolve():
            raise CheckpointError(
                "another folder than the one to resume",
                where=f"paths.run={explicit}",
                remedy=f"leave it out, or give resume=true instead of resume={resume}",
            )
        return str(resume)
    given: Any = OmegaConf.select(_root_, "hydra.overrides.task")
    # as they were given: iterating would resolve interpolations inside them
    overrides = _without_resume([] if given is None else OmegaConf.to_container(given, resolve=False))
    above = Path(fresh).parent.parent
    started = sorted(above.glob(f"*/*/{HYDRA_FOLDER}/overrides.yaml"), reverse=True)
    for record in started:
        folder = record.parent.parent
        if (folder / REPORT_FILE).is_file():
            continue
        if _recorded(record) == overrides:
            return str(folder)
    raise CheckpointError(
        f"no unfinished run of this command below {above}",
        where="resume=true",
        remedy="give its folder: resume=<run folder>",
    )


def explicit_run_folder(cfg: DictConfig) -> str | None:
    """Return ``paths.run`` if the command gives it; None if it is the folder that Hydra chooses."""
    paths = OmegaConf.select(cfg, "paths")
    if paths is None or OmegaConf.is_interpolation(paths, "run") or not paths.get("run"):
        return None
    return str(paths.run)


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
