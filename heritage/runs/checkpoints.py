"""Find the checkpoint that a command's ``ckpt`` names.

Commands do this before they import torch, which takes seconds: a misspelt path is reported at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from heritage.core.hub import is_hub_address
from heritage.errors import CheckpointError
from heritage.runs.files import ADAPTERS_FILE, BEST_CHECKPOINT, CHECKPOINTS_FOLDER, EXPORT_FILE
from heritage.runs.published import (
    PUBLISHED_WEIGHTS,
    fetch_published,
    is_published_file,
    is_published_folder,
)

_EXPORTED = (".onnx", ".pt2", ".safetensors")

NEWEST = "newest"
"""The value of ``ckpt`` of `heritage serve` for the newest run below ``outputs/train``."""


def find_checkpoint(ckpt: str | Path) -> Path:
    """Return the checkpoint at a path: the file itself, or the best checkpoint of a run folder.

    A published network (`heritage publish`) is a folder, or ``hf-hub:owner/name``, which is downloaded.

    Raises:
        CheckpointError: There is none.
    """
    if is_hub_address(ckpt):
        return fetch_published(str(ckpt))
    path = Path(ckpt).expanduser()
    if path.is_dir():
        best = path / CHECKPOINTS_FOLDER / BEST_CHECKPOINT
        if not best.is_file():
            if is_published_folder(path):
                return path / PUBLISHED_WEIGHTS
            if (path / ADAPTERS_FILE).is_file():
                return path / ADAPTERS_FILE
            _refuse_export(path, path)
            newest = _newest_run(path)
            remedy = "name a run folder that trained at least one epoch, or a checkpoint"
            raise CheckpointError(
                f"no {CHECKPOINTS_FOLDER}/{BEST_CHECKPOINT} in this folder",
                where=path,
                remedy=remedy if newest is None else f"the newest run below it is {newest}",
            )
        return best
    if not path.is_file():
        if str(ckpt).startswith("["):
            raise CheckpointError(
                "a list, in the place of one network",
                where=f"ckpt={ckpt}",
                remedy="name one run; evaluate, predict and serve average the probabilities of several",
            )
        raise CheckpointError(
            "no such checkpoint", where=path, remedy="look into outputs/train/<date>/<run>/checkpoints"
        )
    if path.suffix in _EXPORTED and not is_published_file(path):
        _refuse_export(path, path.parent)
    return path


def find_checkpoints(ckpt: str | Path | Sequence[str | Path]) -> list[Path]:
    """Return the checkpoint at a path, or those at several; errors as for `find_checkpoint`."""
    several = [ckpt] if isinstance(ckpt, str | Path) else list(ckpt)
    return [find_checkpoint(one) for one in several]


def _refuse_export(path: Path, folder: Path) -> None:
    """Raise an error if a path is, or is in, a folder that `heritage export` wrote."""
    if (folder / EXPORT_FILE).is_file():
        raise CheckpointError(
            "an export, which is for other programs",
            where=path,
            remedy="give the run folder or checkpoint that it was exported from",
        )


def newest_run(folder: Path) -> Path:
    """Return the run folder below a folder whose best checkpoint is the newest.

    Raises:
        CheckpointError: There is none.
    """
    newest = _newest_run(folder)
    if newest is None:
        raise CheckpointError(
            "no trained network below this folder",
            where=folder,
            remedy="train one (heritage train), or name a run folder or checkpoint: ckpt=<run folder>",
        )
    return newest


def _newest_run(folder: Path) -> Path | None:
    """Return the run folder with the newest best checkpoint up to three levels below a folder."""
    name = f"{CHECKPOINTS_FOLDER}/{BEST_CHECKPOINT}"
    found = [file for depth in (1, 2, 3) for file in folder.glob("*/" * depth + name)]
    return max(found, key=lambda file: file.stat().st_mtime).parent.parent if found else None
