"""torch.export: a program for PyTorch's own runtimes, without the code that built the network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from heritage.errors import ExportError
from heritage.exporters.onnx import Asks, Logits
from heritage.exporters.portable import INPUT, Portable

FILE = "model.pt2"
ABOUT = "heritage.json"
"""The file inside ``model.pt2`` that says what the network expects."""


def write_program(model: Portable, size: int, about: dict[str, Any], folder: Path) -> Path:
    """Export a network as a program of `torch.export`, with any number of pictures a batch.

    Args:
        model: The network.
        size: Pixels a side.
        about: Goes into the file.
        folder: Where ``model.pt2`` goes.

    Raises:
        ExportError: The network does something that cannot be traced.
    """
    example = torch.zeros(2, size, size, 3, dtype=torch.uint8)
    batch = torch.export.Dim("batch", min=1, max=65_536)
    try:
        program = torch.export.export(model, (example,), dynamic_shapes={INPUT: {0: batch}})
    except (RuntimeError, ValueError) as error:  # torch's user errors are ValueErrors or RuntimeErrors
        raise ExportError(
            f"the network cannot be traced ({str(error).strip().partition(chr(10))[0]})",
            where="format=torch_export",
            remedy="try format=safetensors",
        ) from error
    path = folder / FILE
    torch.export.save(program, path, extra_files={ABOUT: json.dumps(about, ensure_ascii=False)})
    return path


def open_program(folder: Path) -> Asks:
    """Load ``model.pt2``."""
    model = torch.export.load(folder / FILE).module()

    def ask(images: npt.NDArray[np.uint8]) -> tuple[Logits, Logits]:
        with torch.inference_mode():
            logits, probabilities = model(torch.from_numpy(images))
        return logits.numpy(), probabilities.numpy()

    return ask
