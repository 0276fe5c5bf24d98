"""The data set that a network was trained on, where it still lies where it lay."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from heritage.errors import CheckpointError, DataError, HeritageError
from heritage.manifest import Manifest
from heritage.run import build_data
from heritage.trained import Trained

_OF_DATA = "heritage.data."


def run_manifest(trained: Trained) -> Manifest:
    """Return the manifest, with its splits, of the data set that a network was trained on.

    Raises:
        CheckpointError: Its data are read by code that is not this package's.
        DataError: The data set is not there, or is no longer the same.
    """
    config = {
        "data": trained.config["data"],
        "augment": {part: trained.config["augment"][part] for part in ("train", "copies")},
        "balance": {"sampling": trained.config["balance"]["sampling"]},
        "seed": trained.config["seed"],
    }
    for target in _targets(config):
        if not target.startswith(_OF_DATA):
            raise CheckpointError(
                f"its data are read by {target}, which is not this package's",
                where=trained.file,
                remedy="give a checkpoint that `heritage train` wrote",
            )
    cfg = OmegaConf.create(config)
    if not isinstance(cfg, DictConfig):
        raise TypeError("a configuration is a mapping")
    manifest = build_data(cfg).manifest
    if manifest.fingerprint != trained.fingerprint:
        raise DataError(
            "no longer the data set that the network was trained on",
            where=manifest.root,
            remedy="restore it, or do without what needs it",
        )
    return manifest


def run_manifest_if_there(trained: Trained) -> Manifest | None:
    """Return the same, or None where there is none."""
    try:
        return run_manifest(trained)
    except HeritageError:
        return None


def _targets(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield str(node["_target_"])
        for value in node.values():
            yield from _targets(value)
    elif isinstance(node, Sequence) and not isinstance(node, str):
        for value in node:
            yield from _targets(value)
