"""Open the file of a checkpoint: plain data and tensors, no larger in memory than on disk.

The file is read with ``weights_only=True``, so nothing in it is run; what is checked here is that it cannot
exhaust memory either. torch writes archives without compression and maps their tensors into memory.
"""

from __future__ import annotations

import pickle
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from heritage.errors import CheckpointError

_OURS = "give one that `heritage train` wrote"
_MAX_PICKLE = 64_000_000  # bytes of everything but the tensors
_SHARED = 2  # tied weights are one tensor in the file and two in the network

# torch's reader raises all of these on files that are truncated, or no checkpoints at all
_UNREADABLE = (
    OSError, RuntimeError, ValueError, EOFError, LookupError, TypeError, AttributeError, AssertionError,
    ArithmeticError, ImportError, MemoryError, struct.error, zipfile.BadZipFile,
)  # fmt: skip


def open_checkpoint(file: Path, *, mmap: bool = True) -> Any:
    """Return the content of a checkpoint.

    Args:
        file: The checkpoint.
        mmap: Map the tensors into memory; otherwise they are read, for a file that is replaced in use.

    Raises:
        CheckpointError: It is damaged, no checkpoint, or holds more than plain data and tensors.
    """
    try:
        _require_plain_archive(file)
        return torch.load(file, map_location="cpu", weights_only=True, mmap=mmap)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            "not a checkpoint, or one that holds more than plain data and weights", where=file, remedy=_OURS
        ) from error
    except _UNREADABLE as error:
        raise CheckpointError("damaged, or not a checkpoint", where=file, remedy=_OURS) from error


def _require_plain_archive(file: Path) -> None:
    """Refuse compressed archives, whose content could be a thousand times as large as the file."""
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise ValueError("compressed")
    if any(entry.file_size > _MAX_PICKLE for entry in entries if entry.filename.endswith(".pkl")):
        raise ValueError("too much plain data")


def network_weights(state: Any, prefix: str, file: Path, *, bounded: bool = True) -> dict[str, Tensor]:
    """Return the network's tensors among those of a checkpoint, without the prefix of their names.

    Raises:
        CheckpointError: They are no tensors, not finite, or claim more memory than the file has bytes.
    """
    if not isinstance(state, Mapping) or not all(isinstance(name, str) for name in state):
        raise CheckpointError("its weights have no names", where=file, remedy=_OURS)
    weights = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    if fault := tensor_fault(weights, file, bounded=bounded):
        raise CheckpointError(fault, where=file, remedy=_OURS)
    if fault := non_finite_fault(weights):
        raise CheckpointError(
            fault,
            where=file,
            remedy="the training diverged: use an earlier checkpoint, or a lower learning rate",
        )
    return weights


def tensor_fault(weights: Mapping[str, Any], file: Path, *, bounded: bool = True) -> str | None:
    """Return why tensors of a file cannot be weights: of another kind, or larger than the file; else None."""
    for name, value in weights.items():
        if type(value) not in (Tensor, nn.Parameter) or value.layout != torch.strided or value.is_quantized:
            return f"its weight {name} is no plain tensor"
        if value.device.type != "cpu" or value.is_complex():
            return f"its weight {name} has no real numbers"
    size = sum(value.numel() * value.element_size() for value in weights.values())
    if bounded and size > _SHARED * file.stat().st_size:
        return f"its weights claim {size:,} bytes, more than the file has"
    return None


def non_finite_fault(weights: Mapping[str, Tensor]) -> str | None:
    """Return which weights are not finite; None if all are."""
    for name, value in weights.items():
        # Numbers of 8 bits are compared as those of 32: torch has no isfinite for all of them.
        numbers = value.float() if value.element_size() == 1 else value
        if value.is_floating_point() and not bool(torch.isfinite(numbers).all()):
            return f"its weights contain NaN or infinite values (first in {name})"
    return None
