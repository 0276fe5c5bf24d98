"""What a run folder says of itself: configuration, versions, git state, machine, data."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from heritage.core.files import PACKAGE, write_text
from heritage.core.manifest import Manifest
from heritage.core.version import __version__
from heritage.runs.files import CONFIG_FILE, DATA_FILE, ENVIRONMENT_FILE

_PACKAGES = (
    "torch", "torchvision", "pytorch-lightning", "torchmetrics", "timm", "hydra-core", "omegaconf",
    "albumentations", "opencv-python-headless", "simplejpeg", "pillow", "numpy", "pyarrow", "wandb",
)  # fmt: skip


def resolved(cfg: DictConfig) -> dict[str, Any]:
    """Return a configuration as plain data, its interpolations replaced by what they stand for."""
    plain = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    if not isinstance(plain, dict):
        raise TypeError(f"a configuration is a mapping, not {type(plain).__name__}")
    return {str(key): value for key, value in plain.items()}


def write_record(folder: Path, config: dict[str, Any], manifest: Manifest, counts: dict[str, Any]) -> None:
    """Write ``config.yaml``, ``environment.json`` and ``data.json`` into a run folder."""
    write_text(folder / CONFIG_FILE, OmegaConf.to_yaml(OmegaConf.create(config)))
    write_text(folder / ENVIRONMENT_FILE, _json(environment()))
    about = {"root": str(manifest.root), "fingerprint": manifest.fingerprint, "images": len(manifest)}
    write_text(folder / DATA_FILE, _json(about | counts))


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
    """Return the commit of the checkout that the package runs from; None for an installed package."""
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
