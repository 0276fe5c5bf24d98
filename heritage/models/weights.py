"""Weights from a file: safetensors, a torch checkpoint, or a checkpoint of our own training."""

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

_log = logging.getLogger(__name__)

OUR_PREFIX = "net."
"""Where our LightningModule keeps the network; its checkpoints hold the loss's buffers too."""

OUR_RECORD = "heritage"
"""The entry of our checkpoints that says what was trained: configuration, classes, fingerprint."""

_WRAPPERS = ("_orig_mod.", "module.")  # put before each name by torch.compile and DistributedDataParallel

# The three complaints of Module.load_state_dict, whose message has a line for every weight.
_COMPLAINTS = (
    ("it lacks", r"Missing key\(s\) in state_dict: (.*)"),
    ("it has besides", r"Unexpected key\(s\) in state_dict: (.*)"),
)
_QUOTED = r'"([^"]+)"'
_WRONG_SHAPE = r"size mismatch for (\S+): .*?Size\((\[.*?\])\).*?Size\((\[.*?\])\)"
_SHOWN = 3


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a file's tensors by the names that they have in the network.

    Reads ``.safetensors``; any other name as a torch file, with the unpickler that builds nothing but
    tensors and plain containers. Of a checkpoint the entry ``state_dict`` (timm, Lightning) or ``model``
    is taken, and of a checkpoint of ours only what belongs to the network.

    Raises:
        WeightsError: There is no such file, it is damaged or unsafe, or it holds no weights.
    """
    if path.is_dir():
        raise WeightsError(
            "is a folder", where=path, remedy="name the file in it, such as checkpoints/best.ckpt of a run"
        )
    if not path.is_file():
        raise WeightsError(
            "no such file",
            where=path,
            remedy="model.weights is imagenet, none or the path of a file of weights",
        )
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    for key in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not content:
        raise WeightsError("holds no weights by name", where=path, remedy="save net.state_dict() to it")
    state = {str(name): value for name, value in content.items()}
    if ours := {name: value for name, value in state.items() if name.startswith(OUR_PREFIX)}:
        state = ours
    if not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(
            "holds other things than tensors", where=path, remedy="save net.state_dict() to it"
        )
    return {_bare(name): value for name, value in state.items()}


def recorded_classes(path: Path) -> tuple[str, ...] | None:
    """Return the classes of a checkpoint of ours, in the order of its outputs; None for any other file.

    Reads what is beside the tensors, not the tensors themselves.

    Raises:
        WeightsError: The file is damaged or unsafe.
    """
    if not zipfile.is_zipfile(path):  # safetensors, or a file of torch's old format: not ours
        return None
    content = _read_torch(path, mmap=True)
    record = content.get(OUR_RECORD) if isinstance(content, Mapping) else None
    names = record.get("classes") if isinstance(record, Mapping) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return None
    return tuple(names)


def class_count(state: Mapping[str, Tensor], classifiers: str | Sequence[str] | None) -> int:
    """Return for how many classes weights were trained; 0 where they have no classifier.

    Args:
        state: Weights by name.
        classifiers: The classifier's module name, or several of equal size.
    """
    names = [classifiers] if isinstance(classifiers, str) else classifiers or []
    found = [len(state[f"{name}.weight"]) for name in names if f"{name}.weight" in state]
    return found[0] if found else 0


def load_weights(net: nn.Module, file: str) -> None:
    """Load a file into a network whose classifier is the module ``head``.

    A classifier for another number of classes is left out, and the log says so; all else must fit.

    Raises:
        WeightsError: The file cannot be read, or lacks weights, or has others, or of other shapes.
    """
    path = Path(file).expanduser()
    state = read_weights(path)
    fresh = {name: value for name, value in net.state_dict().items() if name in ("head.weight", "head.bias")}
    classes, wanted = class_count(state, "head"), len(fresh["head.weight"])
    if classes != wanted:
        state.update(fresh)
        log_new_classifier(path, classes, wanted)
    try:
        net.load_state_dict(state)
    except RuntimeError as error:
        raise misfit(error, type(net).__name__, path) from error


def log_new_classifier(where: str | PathLike[str], found: int, wanted: int) -> None:
    """Say that a classifier was left out."""
    was = f"the classifier for {found} classes is left out" if found else "there is no classifier"
    _log.info("%s: %s; the one for %d classes starts untrained", where, was, wanted)


def misfit(error: Exception, model: str, where: str | PathLike[str]) -> WeightsError:
    """Return in one line what torch says at length about weights that do not fit a network."""
    return WeightsError(
        f"these are not the weights of {model}: {_complaints(error)}",
        where=where,
        remedy="name the model that they belong to, with the same sizes, or take model.weights=none",
    )


def _complaints(error: Exception) -> str:
    text = str(error)
    said = []
    for what, pattern in _COMPLAINTS:
        if found := re.search(pattern, text):
            said.append(f"{what} {_first(re.findall(_QUOTED, found[1]))}")
    if sizes := re.findall(_WRONG_SHAPE, text):
        said.append(_first([f"{name} is {theirs}, not {ours}" for name, theirs, ours in sizes]))
    return "; ".join(said) or f"{type(error).__name__}: {text.partition(chr(10))[0]}"


def _first(items: Sequence[str]) -> str:
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return ", ".join(items[:_SHOWN]) + more


def _bare(name: str) -> str:
    for prefix in (OUR_PREFIX, *_WRAPPERS, *_WRAPPERS):
        name = name.removeprefix(prefix)
    return name


def _read_safetensors(path: Path) -> Any:
    try:
        return safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, OSError) as error:
        raise WeightsError(f"damaged: {error}", where=path, remedy="fetch the file again") from error


def _read_torch(path: Path, *, mmap: bool = False) -> Any:
    try:
        # timm's training script keeps its command line, a plain Namespace, beside the weights.
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            "is not a file of weights, or holds code besides them, which is never run",
            where=path,
            remedy="save the tensors alone, as safetensors or by torch.save(net.state_dict(), …)",
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise WeightsError(f"damaged: {reason}", where=path, remedy="fetch the file again") from error
