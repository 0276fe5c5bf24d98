"""Read a checkpoint of ``heritage train`` and rebuild its network.

The file is read with ``weights_only=True`` and its network is built by a function of
`heritage.models.builders`: loading a checkpoint runs no code that it names or brings along. Everything in it
is checked before memory for the network is allocated.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from heritage.config.network_parts import NETWORK_PARTS, builder_node, network_parts
from heritage.config.saved_parts import saved_part
from heritage.config.validate import value_fault
from heritage.core.numbers import counted
from heritage.core.taxonomy import class_list_fault
from heritage.errors import CheckpointError, HeritageError
from heritage.models.adapter_file import open_adapters
from heritage.models.adapters import attach_adapters
from heritage.models.builders import network_builders
from heritage.models.checkpoint_file import network_weights, open_checkpoint
from heritage.models.heads import attach_head, head_fault
from heritage.models.initial_weights import recorded_initial_weights
from heritage.models.network import NONE
from heritage.models.published import open_published
from heritage.models.weight_licences import InitialWeights
from heritage.models.weights import OUR_PREFIX, OUR_RECORD, mismatches
from heritage.runs.checkpoints import find_checkpoint
from heritage.runs.files import ADAPTERS_SUFFIX, CHECKPOINTS_FOLDER, CONFIG_FILE
from heritage.runs.published import is_published_file
from heritage.runs.saved_config import checked_config
from heritage.runs.training_images import RECORD, TrainingImages


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
        training_images: Photographs or drawings; None in files of earlier versions.
        initial_weights: The pretrained weights that the run started from; None if there were none.
    """

    file: Path
    classes: tuple[str, ...]
    fingerprint: str
    config: dict[str, Any]
    epoch: int
    weights: Mapping[str, Tensor]
    training_images: TrainingImages | None = None
    initial_weights: InitialWeights | None = None

    @property
    def folder(self) -> Path | None:
        """The run folder, or that of a published network; None for a checkpoint that was moved out of one."""
        if is_published_file(self.file):
            return self.file.parent
        if _is_adapters(self.file):
            return self.file.parent if (self.file.parent / CONFIG_FILE).is_file() else None
        return self.file.parent.parent if self.file.parent.name == CHECKPOINTS_FOLDER else None


_OURS = "give one that `heritage train` wrote"
_OUR_MODELS = "heritage.models."  # other networks need not compute on torch's meta device
_MAX_CLASSES = 100_000
_DAMAGED = "it was made by another version of heritage or timm, or is damaged"

# What networks raise when their arguments fit the signature but not each other.
_MISFIT = (
    HeritageError, TypeError, ImportError, RuntimeError, ValueError, AssertionError, ArithmeticError,
    LookupError, AttributeError,
)  # fmt: skip


def read_checkpoint(ckpt: str | Path) -> Checkpoint:
    """Read a checkpoint of this version or an earlier one.

    Args:
        ckpt: A checkpoint, a run folder for its best one, or a published network.

    Raises:
        CheckpointError: There is no such file, it is damaged, `heritage train` did not write it, or its
            weights are not finite.
    """
    file = find_checkpoint(ckpt)
    if is_published_file(file):
        return parse_checkpoint(open_published(file), file)
    if _is_adapters(file):
        return parse_checkpoint(open_adapters(file), file, complete=False)
    return parse_checkpoint(open_checkpoint(file), file)


def parse_checkpoint(state: Any, file: Path, *, complete: bool = True) -> Checkpoint:
    """Check the content of a checkpoint; errors as for `read_checkpoint`.

    Args:
        state: The content.
        file: Its file.
        complete: Whether the file holds all weights; otherwise the others are of pretrained weights, and may
            be larger than it.
    """
    required = {"state_dict", OUR_RECORD, "epoch"}
    if not isinstance(state, dict) or not required <= set(state):
        raise CheckpointError(
            "not a checkpoint of `heritage train`: it lacks configuration and classes",
            where=file,
            remedy="model.weights=<file> starts a training from foreign weights",
        )
    record, epoch = state[OUR_RECORD], state["epoch"]
    if not isinstance(record, dict):
        raise CheckpointError("its record of the run is not a mapping", where=file, remedy=_OURS)
    if type(epoch) is not int or epoch < 0:
        raise CheckpointError("its epoch is no number from 0", where=file, remedy=_OURS)
    fingerprint = record.get("fingerprint")
    if not isinstance(fingerprint, str):
        raise CheckpointError("its data set has no fingerprint", where=file, remedy=_OURS)
    classes = record.get("classes")
    if not isinstance(classes, list | tuple) or not all(isinstance(name, str) for name in classes):
        raise CheckpointError("its classes are not a list of names", where=file, remedy=_OURS)
    if len(classes) > _MAX_CLASSES:
        raise CheckpointError(f"it has {counted(len(classes), 'class')}", where=file, remedy=_OURS)
    if fault := class_list_fault(classes):
        raise CheckpointError(fault, where=file, remedy=_OURS)
    config = checked_config(record.get("config"), file, complete=True)
    weights = network_weights(state["state_dict"], OUR_PREFIX, file, bounded=complete)
    images = TrainingImages.read(record.get(RECORD), file)
    initial = recorded_initial_weights(record)
    return Checkpoint(file, tuple(classes), fingerprint, config, epoch, weights, images, initial)


def _is_adapters(file: Path) -> bool:
    return file.suffix == ADAPTERS_SUFFIX and not is_published_file(file)


def checkpoint_step(file: Path) -> int:
    """Return the number of optimizer steps after which a checkpoint was saved.

    Raises:
        CheckpointError: The file is damaged or not a checkpoint.
    """
    state = open_checkpoint(file)
    step = state.get("global_step") if isinstance(state, dict) else None
    if type(step) is not int or step < 0:
        raise CheckpointError("its step is no number from 0", where=file, remedy=_OURS)
    return step


def rebuild_network(checkpoint: Checkpoint) -> nn.Module:
    """Build a checkpoint's network and load its weights.

    Returns:
        The network on the CPU: normalised images (B, 3, S, S) to logits (B, K).

    Raises:
        CheckpointError: The network's builder is not registered, its arguments do not fit, or the weights
            do not.
    """
    # initial weights no longer matter, and their file may not exist any more
    node = builder_node(checkpoint.config["model"]) | {"weights": NONE}
    parts = network_parts(checkpoint.config["model"])
    for key, value in parts.items():
        if fault := value_fault(f"model.{key}", value, NETWORK_PARTS[key]):
            raise CheckpointError(
                f"its network cannot be rebuilt ({fault})", where=checkpoint.file, remedy=_DAMAGED
            )
    ours = network_builders()
    supplied = {"num_classes": len(checkpoint.classes), "image_size": checkpoint.config["data"]["image_size"]}
    builder = saved_part(
        node, ours, part="network", key="model", where=checkpoint.file, supplied=supplied.keys()
    )
    if node["_target_"].startswith(_OUR_MODELS) and node["_target_"] in ours:
        _require_sizes(node, checkpoint)
        with torch.device("meta"):  # computes shapes, allocates nothing
            _require_same_shapes(_built(builder, supplied, parts, checkpoint), checkpoint)
    net = _built(builder, supplied, parts, checkpoint)
    _require_same_shapes(net, checkpoint)
    net.load_state_dict(checkpoint.weights)
    if fault := head_fault(net):
        raise CheckpointError(fault, where=checkpoint.file, remedy=_DAMAGED)
    return net.to(memory_format=torch.channels_last)


def _built(
    builder: Any, supplied: dict[str, Any], parts: dict[str, Any], checkpoint: Checkpoint
) -> nn.Module:
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "Initializing zero-element")  # a layer without weights
            net: nn.Module = attach_head(builder(**supplied), parts["head"], checkpoint.weights)
            attach_adapters(net, parts["adapters"])
    except (*_MISFIT, UserWarning) as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(
            f"its network cannot be rebuilt ({reason})", where=checkpoint.file, remedy=_DAMAGED
        ) from error
    return net


def _require_sizes(node: Any, checkpoint: Checkpoint) -> None:
    """Refuse sizes that take long even without memory: each block has a weight, each unit a number."""
    numbers = sum(value.numel() for value in checkpoint.weights.values())
    for name, value in node.items():
        values = value if isinstance(value, list) else [value]
        most = len(checkpoint.weights) if name == "depth" else max(numbers, 4096)
        if len(values) > len(checkpoint.weights) or any(
            isinstance(number, int | float) and number > most for number in values
        ):
            raise _weights_do_not_fit(f"model.{name} is too large for them", checkpoint)


def _require_same_shapes(net: nn.Module, checkpoint: Checkpoint) -> None:
    wanted, given = net.state_dict(), checkpoint.weights
    if fault := mismatches(given, wanted):
        raise _weights_do_not_fit(fault, checkpoint)


def _weights_do_not_fit(fault: str, checkpoint: Checkpoint) -> CheckpointError:
    return CheckpointError(
        f"its weights do not fit the network that its configuration describes ({fault})",
        where=checkpoint.file,
        remedy=_DAMAGED,
    )
