"""Read a checkpoint of ``heritage train`` and rebuild its network.

The file is read with ``weights_only=True`` and its network is built by a function of
`heritage.models.builders`: loading a checkpoint runs no code that it brings along.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from heritage.errors import CheckpointError, HeritageError
from heritage.models.builders import network_builder
from heritage.models.network import NONE
from heritage.models.weights import OUR_PREFIX, OUR_RECORD
from heritage.runs.compat import upgrade_config
from heritage.runs.files import BEST_CHECKPOINT, CHECKPOINTS_FOLDER


@dataclass(frozen=True)
class Checkpoint:
    """The content of a checkpoint.

    Attributes:
        file: The checkpoint.
        classes: The class list, in the order of the logits.
        fingerprint: The fingerprint of the data set it was trained on.
        config: The run's resolved configuration, with the names of this version.
        epoch: The epoch at whose end it was saved, counted from 0.
        weights: The network's weights by name.
    """

    file: Path
    classes: tuple[str, ...]
    fingerprint: str
    config: dict[str, Any]
    epoch: int
    weights: Mapping[str, Tensor]

    @property
    def folder(self) -> Path | None:
        """The run folder; None for a checkpoint that was moved out of one."""
        return self.file.parent.parent if self.file.parent.name == CHECKPOINTS_FOLDER else None


def find_checkpoint(ckpt: str | Path) -> Path:
    """Return the checkpoint at a path: the file itself, or the best checkpoint of a run folder.

    Raises:
        CheckpointError: There is none.
    """
    path = Path(ckpt).expanduser()
    if path.is_dir():
        best = path / CHECKPOINTS_FOLDER / BEST_CHECKPOINT
        if not best.is_file():
            newest = _newest_run(path)
            remedy = "name a run folder that trained at least one epoch, or a checkpoint"
            raise CheckpointError(
                f"no {CHECKPOINTS_FOLDER}/{BEST_CHECKPOINT} in this folder",
                where=path,
                remedy=remedy if newest is None else f"the newest run below it is {newest}",
            )
        return best
    if not path.is_file():
        raise CheckpointError(
            "no such checkpoint", where=path, remedy="look into outputs/train/<date>/<run>/checkpoints"
        )
    return path


def _newest_run(folder: Path) -> Path | None:
    """Return the run folder with the newest best checkpoint up to three levels below a folder."""
    name = f"{CHECKPOINTS_FOLDER}/{BEST_CHECKPOINT}"
    found = [file for depth in (1, 2, 3) for file in folder.glob("*/" * depth + name)]
    return max(found, key=lambda file: file.stat().st_mtime).parent.parent if found else None


def read_checkpoint(ckpt: str | Path) -> Checkpoint:
    """Read a checkpoint of this version or an earlier one.

    Args:
        ckpt: A checkpoint, or a run folder for its best one.

    Raises:
        CheckpointError: There is no such file, it is damaged, or `heritage train` did not write it.
    """
    file = find_checkpoint(ckpt)
    state = _load(file)
    required = {"state_dict", OUR_RECORD, "epoch"}
    if not isinstance(state, dict) or not required <= set(state):
        raise CheckpointError(
            "not a checkpoint of `heritage train`: it lacks configuration and classes",
            where=file,
            remedy="model.weights=<file> starts a training from foreign weights",
        )
    record = state[OUR_RECORD]
    weights = {
        name.removeprefix(OUR_PREFIX): value
        for name, value in state["state_dict"].items()
        if name.startswith(OUR_PREFIX)
    }
    return Checkpoint(
        file,
        tuple(record["classes"]),
        str(record["fingerprint"]),
        dict(upgrade_config(record["config"])),
        int(state["epoch"]),
        weights,
    )


def rebuild_network(checkpoint: Checkpoint) -> nn.Module:
    """Build a checkpoint's network and load its weights.

    Returns:
        The network on the CPU: normalised images (B, 3, S, S) to logits (B, K).

    Raises:
        CheckpointError: The network's builder is not registered, its arguments do not fit, or the weights
            do not.
    """
    options = dict(checkpoint.config["model"])
    target = str(options.pop("_target_"))
    builder = network_builder(target)
    if builder is None:
        raise CheckpointError(
            f"its network is built by {target}, which is not this package's",
            where=checkpoint.file,
            remedy="give a checkpoint that `heritage train` wrote; a network of your own has to be imported "
            "first, with @heritage.models.register_network",
        )
    # initial weights no longer matter, and their file may not exist any more
    options |= {"weights": NONE, "num_classes": len(checkpoint.classes)}
    try:
        net: nn.Module = builder(**options, image_size=checkpoint.config["data"]["image_size"])
    except (TypeError, ImportError, HeritageError) as error:
        raise CheckpointError(
            f"its network cannot be rebuilt ({error})",
            where=checkpoint.file,
            remedy="it was made by another version of heritage or timm",
        ) from error
    try:
        net.load_state_dict(checkpoint.weights)
    except RuntimeError as error:
        raise CheckpointError(
            "its weights do not fit the network that its configuration describes",
            where=checkpoint.file,
            remedy="it was made by another version, or is damaged",
        ) from error
    return net.to(memory_format=torch.channels_last)


def _load(file: Path) -> Any:
    try:
        return torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            "not a checkpoint, or one that holds more than plain data and weights",
            where=file,
            remedy="give one that `heritage train` wrote",
        ) from error
    except (OSError, RuntimeError, ValueError, EOFError, KeyError) as error:
        # torch's reader raises all of these on files that are truncated or no checkpoints at all
        raise CheckpointError(
            "damaged, or not a checkpoint", where=file, remedy="give one that `heritage train` wrote"
        ) from error
