"""Check that what a command reads exists, before it imports torch, which takes seconds."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from heritage.core.image_folders import SourceKeys, require_folder
from heritage.errors import DatasetNotFoundError, HeritageError
from heritage.runs.checkpoints import find_checkpoints
from heritage.runs.files import CHECKPOINTS_FOLDER, CONFIG_FILE
from heritage.runs.record import read_config

PATTERN_SIGNS = "*?["
"""The signs that make a name a pattern."""

_READ_A_FOLDER = frozenset(
    {
        *(f"heritage.data.readers.{name}" for name in ("manifest", "class_folders", "table")),
        *(f"heritage.curation.raw_sources.{name}" for name in ("class_folders", "table", "rebuild")),
    }
)
"""Readers that need ``root``; others draw or describe it themselves."""


def require_inputs(cfg: DictConfig) -> None:
    """Check the folder ``data.root`` or ``raw.root`` of a command, and the ``input`` of a prediction.

    For a trained network's data set the reader is that of its run.

    Raises:
        DatasetNotFoundError: One does not exist.
        CheckpointError: There is no such checkpoint.
    """
    plain: Any = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=False)
    data, raw, source = plain.get("data"), plain.get("raw"), plain.get("input")
    if isinstance(data, Mapping) and data.get("root") is not None:
        reader = data.get("reader") if "reader" in data else _readers_of_run(plain.get("ckpt"))
        _require("data", data["root"], reader)
    if isinstance(raw, Mapping) and raw.get("root") is not None:
        _require("raw", raw["root"], raw)
    if isinstance(source, str):
        require_input(source, "input")


def require_input(source: str, key: str) -> None:
    """Raise an error unless a name is that of a file or folder, or a pattern.

    Raises:
        DatasetNotFoundError: It is not.
    """
    if not Path(source).expanduser().exists() and not set(source) & set(PATTERN_SIGNS):
        remedy = "give one, or a pattern such as 'photos/*.jpg'"
        if "," in source and all(Path(one).expanduser().exists() for one in source.split(",")):
            remedy = f"write a list: {shlex.quote(f'{key}=[{source}]')}"
        elif source.startswith(("http://", "https://")):
            remedy = "download the image first"
        raise DatasetNotFoundError("no such image, folder or list", where=f"{key}={source}", remedy=remedy)


def _require(group: str, root: Any, reader: Any) -> None:
    if isinstance(reader, Mapping) and reader.get("_target_") in _READ_A_FOLDER:
        require_folder(Path(str(root)), SourceKeys(group=group, root=f"{group}.root", reader=group))


def _readers_of_run(ckpt: Any) -> Any:
    """Return the ``data.reader`` node of a checkpoint's run; None if it cannot be read."""
    checkpoints = find_checkpoints(ckpt if isinstance(ckpt, list) else str(ckpt))
    if not checkpoints:
        return None
    checkpoint = checkpoints[0]
    folder = checkpoint.parent.parent
    if checkpoint.parent.name == CHECKPOINTS_FOLDER and (folder / CONFIG_FILE).is_file():
        with contextlib.suppress(HeritageError):
            return (read_config(folder).get("data") or {}).get("reader")
    return None
