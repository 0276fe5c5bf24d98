"""Load weights from a file: safetensors, a torch file, or a checkpoint of ``heritage train``."""

from __future__ import annotations

import argparse
import logging
import pickle
import re
import zipfile
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from heritage.errors import WeightsError
from heritage.models.checkpoint_file import non_finite_fault, tensor_fault
from heritage.models.heads import without_other_head

_log = logging.getLogger(__name__)

OUR_PREFIX = "net."
"""Prefix of the network's weights in the state dict of the `Classifier`."""

OUR_RECORD = "heritage"
"""Key of a checkpoint's metadata: configuration, classes, fingerprint."""

INITIAL_WEIGHTS = "initial_weights"
"""Key of that record: the pretrained weights that the run started from."""

ADAPTERS_RECORD = "heritage_adapters"
"""Key of the record in the metadata of ``adapters.safetensors`` (`heritage.models.adapter_file`)."""

ADAPTER_CHILD = "adapter"
"""Name of an adapter (`heritage.models.adapters`) in the module beside which it is."""

_ADAPTER_ENTRY = re.compile(rf"(^|\.){ADAPTER_CHILD}\.(down|up)(\.weight|\.bias)?$")

_WRAPPERS = ("_orig_mod.", "module.")  # prefixes of torch.compile and DistributedDataParallel

# Patterns of the message of Module.load_state_dict, which has a line for every weight.
_MISMATCHES = (
    ("missing", r"Missing key\(s\) in state_dict: (.*)"),
    ("unexpected", r"Unexpected key\(s\) in state_dict: (.*)"),
)
_QUOTED = r'"([^"]+)"'
_WRONG_SHAPE = r"size mismatch for (\S+): .*?Size\((\[.*?\])\).*?Size\((\[.*?\])\)"
_SHOWN = 3


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read tensors by their names in the network.

    Files other than ``.safetensors`` are read as torch files with ``weights_only=True``. In a checkpoint,
    the entry ``state_dict`` (timm, Lightning) or ``model`` is used, and in one of ``heritage train`` only
    the network.

    Raises:
        WeightsError: The file does not exist, is damaged or unsafe, or has no finite weights.
    """
    if path.is_dir():
        raise WeightsError(
            "is a folder", where=path, remedy="name the file in it, such as checkpoints/best.ckpt of a run"
        )
    if not path.is_file():
        raise WeightsError(
            "no such file",
            where=path,
            remedy="model.weights is pretrained, none, the path of a file of weights, or hf-hub:owner/name",
        )
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    for key in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not content:
        raise WeightsError("contains no named weights", where=path, remedy="save net.state_dict() to it")
    state = {str(name): value for name, value in content.items()}
    if ours := {name: value for name, value in state.items() if name.startswith(OUR_PREFIX)}:
        state = ours
    if not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(
            "contains values that are not tensors", where=path, remedy="save net.state_dict() to it"
        )
    fault = tensor_fault(state, path) or _integer_fault(state) or non_finite_fault(state)
    if fault:
        raise WeightsError(fault, where=path, remedy="choose another file, or model.weights=none")
    return {_bare(name): value for name, value in state.items()}


def _integer_fault(state: Mapping[str, Tensor]) -> str | None:
    """Return which weights are integers, which torch would convert without a message; else None."""
    for name, value in state.items():
        if name.endswith((".weight", ".bias")) and not value.is_floating_point():
            return f"its weight {name} has integers ({value.dtype})"
    return None


def recorded_run(path: Path) -> Mapping[str, Any] | None:
    """Return the record of the run in a checkpoint of ``heritage train``; None for other files.

    The tensors are not read.

    Raises:
        WeightsError: The file is damaged or unsafe.
    """
    if not zipfile.is_zipfile(path):  # safetensors, or torch's old format
        return None
    content = _read_torch(path, mmap=True)
    record = content.get(OUR_RECORD) if isinstance(content, Mapping) else None
    return record if isinstance(record, Mapping) else None


def recorded_classes(path: Path) -> tuple[str, ...] | None:
    """Return the classes that a checkpoint of ``heritage train`` records, in the order of the logits.

    Returns None for other files. The tensors are not read.

    Raises:
        WeightsError: The file is damaged or unsafe.
    """
    names = (recorded_run(path) or {}).get("classes")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return None
    return tuple(names)


def class_count(state: Mapping[str, Tensor], classifiers: str | Sequence[str] | None) -> int:
    """Return the number of classes that weights were trained for; 0 without a classifier.

    Args:
        state: Weights by name.
        classifiers: Name of the classifier's module, or names of several of equal size.
    """
    names = [classifiers] if isinstance(classifiers, str) else classifiers or []
    found = [state[f"{name}.weight"] for name in names if f"{name}.weight" in state]
    return len(found[0]) if found and found[0].ndim else 0


def load_weights(net: nn.Module, file: str) -> None:
    """Load a file into a network whose classifier is the module ``head``.

    A classifier for another number of classes is not loaded, with a message in the log; all other weights
    must fit. What the network computes itself, as timm's files have it for position embeddings, is left out.

    Args:
        net: The network.
        file: A file, or ``hf-hub:owner/name``.

    Raises:
        WeightsError: The file cannot be read, or weights are missing, unexpected or of another shape.
    """
    from heritage.models.hub import weights_file  # imports timm, which reading a file does not need

    path = weights_file(file)
    computed = {name for name, _ in net.named_buffers()} - net.state_dict().keys()
    state = without_adapters(without_other_head(read_weights(path), "head"))
    state = {name: value for name, value in state.items() if name not in computed}
    fresh = {name: value for name, value in net.state_dict().items() if name in ("head.weight", "head.bias")}
    theirs, ours = class_count(state, "head"), len(fresh["head.weight"])
    if theirs != ours:
        state.update(fresh)
        log_new_classifier(path, theirs, ours)
    try:
        net.load_state_dict(state)
    except RuntimeError as error:
        raise misfit(error, type(net).__name__, path) from error


def is_adapter_entry(name: str) -> bool:
    """Return whether a name in a state dict is that of a tensor of an adapter."""
    return _ADAPTER_ENTRY.search(name) is not None


def without_adapters(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights without those of adapters, as initial weights of a network."""
    return {name: value for name, value in state.items() if not is_adapter_entry(name)}


def log_new_classifier(where: str | PathLike[str], theirs: int, ours: int) -> None:
    """Log that the classifier of a file is not loaded."""
    what = f"the classifier for {theirs} classes is not loaded" if theirs else "there is no classifier"
    _log.info("%s: %s; the one for %d classes starts untrained", where, what, ours)


def misfit(error: Exception, model: str, where: str | PathLike[str]) -> WeightsError:
    """Return the error for weights that do not fit a network: torch's long message in one line."""
    return WeightsError(
        f"these are not the weights of {model}: {_mismatches(error)}",
        where=where,
        remedy="choose the model and the sizes that they belong to, or model.weights=none",
    )


def mismatches(given: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str:
    """Return how weights differ from those of a network in names, shapes and kinds; empty if they fit."""
    parts = []
    if missing := [name for name in expected if name not in given]:
        parts.append(f"missing {_first(missing)}")
    if unexpected := [name for name in given if name not in expected]:
        parts.append(f"unexpected {_first(unexpected)}")
    both = given.keys() & expected.keys()
    shapes = [(name, list(given[name].shape), list(expected[name].shape)) for name in sorted(both)]
    if wrong := [f"{name} is {theirs}, not {ours}" for name, theirs, ours in shapes if theirs != ours]:
        parts.append(_first(wrong))
    kinds = [
        name for name in sorted(both) if given[name].is_floating_point() != expected[name].is_floating_point()
    ]
    if kinds:
        parts.append(f"{_first(kinds)} has another type of numbers")
    return "; ".join(parts)


def _mismatches(error: Exception) -> str:
    text = str(error)
    parts = []
    for what, pattern in _MISMATCHES:
        if match := re.search(pattern, text):
            parts.append(f"{what} {_first(re.findall(_QUOTED, match[1]))}")
    if sizes := re.findall(_WRONG_SHAPE, text):
        parts.append(_first([f"{name} is {theirs}, not {ours}" for name, theirs, ours in sizes]))
    return "; ".join(parts) or f"{type(error).__name__}: {text.partition(chr(10))[0]}"


def _first(items: Sequence[str]) -> str:
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return ", ".join(items[:_SHOWN]) + more


def _bare(name: str) -> str:
    for prefix in (OUR_PREFIX, *_WRAPPERS, *_WRAPPERS):
        name = name.removeprefix(prefix)
    return name


def _read_safetensors(path: Path) -> Any:
    try:
        with safetensors.safe_open(path, framework="pt") as opened:
            if ADAPTERS_RECORD in (opened.metadata() or {}):
                raise WeightsError(
                    "the adapters of a run, without the network that they belong to",
                    where=path,
                    remedy="give model.weights=<run folder>/checkpoints/best.ckpt and its finetune options",
                )
        return safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, OSError) as error:
        raise WeightsError(
            f"damaged: {error}", where=path, remedy="download or copy the file again"
        ) from error


def _read_torch(path: Path, *, mmap: bool = False) -> Any:
    try:
        # timm's training script stores its command line, a plain Namespace, beside the weights.
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            "is not a file of weights, or contains code, which is never run",
            where=path,
            remedy="save the tensors alone, as safetensors or by torch.save(net.state_dict(), …)",
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise WeightsError(
            f"damaged: {reason}", where=path, remedy="download or copy the file again"
        ) from error
