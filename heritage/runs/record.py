"""Write and read ``config.yaml``, ``environment.json``, ``data.json`` and ``metrics.json`` of a run folder.

Every reader of ``config.yaml`` goes through `read_config`, which upgrades configurations of earlier versions.
"""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf
from yaml import YAMLError  # type: ignore[import-untyped]

from heritage.core.files import PACKAGE, write_text
from heritage.core.json_files import read_json_file
from heritage.core.version import __version__
from heritage.errors import CheckpointError
from heritage.runs.file_types import TYPES
from heritage.runs.files import CONFIG_FILE, DATA_FILE, ENVIRONMENT_FILE, METRICS_FILE
from heritage.runs.plain_data import read_yaml
from heritage.runs.saved_config import checked_config

if TYPE_CHECKING:
    from heritage.core.manifest import Manifest

_PACKAGES = (
    "torch", "torchvision", "pytorch-lightning", "torchmetrics", "timm", "hydra-core", "omegaconf",
    "albumentations", "opencv-python-headless", "simplejpeg", "pillow", "numpy", "pyarrow", "wandb",
)  # fmt: skip


def resolved(cfg: DictConfig) -> dict[str, Any]:
    """Return a configuration as plain data with all interpolations resolved."""
    plain = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    if not isinstance(plain, dict):
        raise TypeError(f"a configuration is a mapping, not {type(plain).__name__}")
    return {str(key): value for key, value in plain.items()}


def write_record(folder: Path, config: dict[str, Any], manifest: Manifest, counts: dict[str, Any]) -> None:
    """Write ``config.yaml``, ``environment.json`` and ``data.json`` into a run folder."""
    write_text(folder / CONFIG_FILE, OmegaConf.to_yaml(OmegaConf.create(config)))
    write_text(folder / ENVIRONMENT_FILE, _json(environment()))
    data = {"root": str(manifest.root), "fingerprint": manifest.fingerprint, "images": len(manifest)}
    write_text(folder / DATA_FILE, _json(data | counts))


def read_config(folder: Path) -> dict[str, Any]:
    """Return the ``config.yaml`` of a run folder, with the class and key names of this version.

    Raises:
        CheckpointError: The file is missing or damaged.
    """
    path = folder / CONFIG_FILE
    return checked_config(
        _read(path, read_yaml, what="unreadable configuration", remedy="restore the file"), path
    )


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """Return a JSON file of a run folder, such as ``data.json`` or ``metrics.json``; empty if missing.

    Raises:
        CheckpointError: The file is damaged, or an entry has another type than `heritage.runs.file_types`
            declares.
    """
    path = folder / name
    if not path.is_file():
        return {}
    return _read(
        path,
        lambda path: read_json_file(path, TYPES[name]),
        what="unreadable",
        remedy="restore the file or run the command again",
    )


def _read(path: Path, parse: Callable[[Path], Any], *, what: str, remedy: str) -> dict[str, Any]:
    """Return the mapping in a file; a damaged file is an error of one line."""
    try:
        content = parse(path)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = "invalid YAML" if mark is None else f"invalid YAML in line {mark.line + 1}"
        raise CheckpointError(f"{what} ({reason})", where=path, remedy=remedy) from error
    except (OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:120]
        raise CheckpointError(f"{what} ({reason})", where=path, remedy=remedy) from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{what} (not a mapping)", where=path, remedy=remedy)
    return content


def write_metrics(record: Mapping[str, Any], folder: Path) -> Path:
    """Write ``metrics.json`` atomically; NaN becomes null."""
    path = folder / METRICS_FILE
    write_text(path, _json(without_nan(dict(record))))
    return path


def without_nan(node: Any) -> Any:
    """Return plain data in which every NaN is None: JSON has no NaN."""
    if isinstance(node, dict):
        return {key: without_nan(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [without_nan(value) for value in node]
    return None if isinstance(node, float) and math.isnan(node) else node


def environment() -> dict[str, Any]:
    """Return versions, git state, machine and time."""
    import torch

    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return {
        "heritage": __version__,
        "git": git_state(),
        "python": sys.version.split()[0],
        "packages": {name: _version(name) for name in _PACKAGES},
        "machine": {
            "platform": platform.platform(),
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "gpus": gpus,
        },
        "command": sys.argv,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def git_state() -> dict[str, Any] | None:
    """Return commit and state of the git checkout that the package runs from; None if it is installed."""
    top = PACKAGE.parent
    if not (top / ".git").exists():
        return None
    try:
        commit = _git(top, "rev-parse", "HEAD")
        changed = _git(top, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return None  # no git on this machine, or no commit yet
    return {"commit": commit, "dirty": bool(changed)}


def _git(top: Path, *words: str) -> str:
    done = subprocess.run(  # noqa: S603  fixed words
        ["git", "-C", str(top), *words],  # noqa: S607  whichever git the user has
        capture_output=True, text=True, check=True, timeout=10,
    )  # fmt: skip
    return done.stdout.strip()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _json(record: dict[str, Any]) -> str:
    return json.dumps(record, indent=2, ensure_ascii=False) + "\n"
