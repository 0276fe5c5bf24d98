"""Tiny valid checkpoints and copies with one wrong value, for tests that demand one line for each."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from heritage.models.vit_sizes import vit

CLASSES = ["egyptian", "islam", "asian"]
MODEL: dict[str, Any] = {
    "_target_": "heritage.models.vit_sizes.vit", "size": "mini", "width": 8, "depth": 1, "heads": 1,
    "patch_size": 16, "mlp_ratio": 1.0, "pool": "avg", "positions": "sincos", "stem": "linear",
    "dropout": 0.0, "drop_path": 0.0, "layer_scale": None, "grad_checkpointing": False, "weights": "none",
}  # fmt: skip
NETWORK = {name: value for name, value in MODEL.items() if name != "_target_"}

WRONG: tuple[Any, ...] = (
    None, True, -1, 10**9, 10**400, float("nan"), float("inf"), "", "wrong ${oc.env:HOME,none}",
    [], {}, [1, "a", None], {"_target_": "os.system", "command": "true"}, torch.zeros(2),
)  # fmt: skip
"""Wrong values of many kinds; some of them are right at some keys."""


def valid_state(root: Path) -> dict[str, Any]:
    """Return the content of a checkpoint of a tiny Vision Transformer on class folders in ``root``."""
    torch.manual_seed(0)
    net = vit(**NETWORK, num_classes=len(CLASSES), image_size=32)
    config = {
        "seed": 0,
        "paths": {"run": "outputs/run"},
        "data": {
            "_target_": "heritage.data.ArtefactDataModule",
            "root": str(root), "classes": list(CLASSES), "image_size": 32, "crop_pct": 0.9, "batch_size": 4,
            "num_workers": 0, "verify": False, "packed": "auto", "stage": None,
            "reader": {"_target_": "heritage.data.readers.class_folders", "_partial_": True},
            "split": {"_target_": "heritage.data.split.by_fold", "_partial_": True, "folds": 3, "fold": 0,
                      "val": 0.3, "seed": 0},
        },
        "balance": {
            "sampling": {"_target_": "heritage.data.sampling.InstanceBalanced"},
            "weighting": {"_target_": "heritage.training.weighting.no_weighting"},
            "loss": {"_target_": "heritage.training.losses.CrossEntropy", "label_smoothing": 0.0},
            "schedule": None,
        },
        "model": dict(MODEL),
        "optimizer": {"_target_": "heritage.training.optimizers.adam", "lr": 0.001},
        "finetune": {"depth": "full", "fresh_classifier": False},
        "trainer": {"precision": "32-true"},
    }  # fmt: skip
    return {
        "epoch": 2,
        "state_dict": {f"net.{name}": value for name, value in net.state_dict().items()},
        "heritage": {"config": config, "classes": list(CLASSES), "fingerprint": "0" * 64},
    }


def paths(node: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every key, and of the first entry of every list."""
    items = node.items() if isinstance(node, dict) else enumerate(node[:1]) if isinstance(node, list) else ()
    for key, value in items:
        yield (*above, key)
        yield from paths(value, (*above, key))


def with_value(state: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """Return a copy of a state with another value at a path."""
    changed = {**state, "heritage": copy.deepcopy(state["heritage"]), "state_dict": dict(state["state_dict"])}
    node: Any = changed
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return changed
