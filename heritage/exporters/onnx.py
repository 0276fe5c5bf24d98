"""ONNX: for ONNX Runtime, in any language and without Python."""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from heritage.errors import ExportError, MissingDependencyError
from heritage.exporters.portable import INPUT, OUTPUTS, Portable

FILE = "model.onnx"

Logits = npt.NDArray[np.float32]
Asks = Callable[[npt.NDArray[np.uint8]], tuple[Logits, Logits | None]]
"""uint8 images (B, S, S, 3) to logits and probabilities, both (B, K); None where it gives logits alone."""


def write_onnx(model: Portable, size: int, about: dict[str, Any], folder: Path) -> Path:
    """Export a network as ONNX, with any number of pictures a batch.

    Args:
        model: The network.
        size: Pixels a side.
        about: Becomes the file's metadata.
        folder: Where ``model.onnx`` goes.

    Raises:
        MissingDependencyError: The extra ``export`` is not installed.
        ExportError: ONNX has no operator for something that the network does.
    """
    _require("onnx", "onnxscript", "onnxruntime")
    example = torch.zeros(2, size, size, 3, dtype=torch.uint8)
    batch = torch.export.Dim("batch", min=1, max=65_536)
    try:
        with _quiet():
            program = torch.onnx.export(
                model,
                (example,),
                input_names=[INPUT],
                output_names=list(OUTPUTS),
                dynamic_shapes={INPUT: {0: batch}},
                dynamo=True,
                verbose=False,
            )
    except (torch.onnx.OnnxExporterError, RuntimeError) as error:
        raise ExportError(
            f"the network cannot be written as ONNX ({_first_line(error)})",
            where="format=onnx",
            remedy="try format=torch_export",
        ) from error
    if program is None:
        raise TypeError("torch.onnx.export with dynamo returns a program")
    for name, value in about.items():
        program.model.metadata_props[name] = (
            value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        )
    path = folder / FILE
    program.save(path)
    return path


def open_onnx(folder: Path, threads: int = 0) -> Asks:
    """Load ``model.onnx`` into ONNX Runtime on the CPU.

    Args:
        folder: Where it is.
        threads: How many to use; 0 is one for each core.

    Raises:
        MissingDependencyError: ONNX Runtime is not installed.
    """
    _require("onnxruntime")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(folder / FILE), options, providers=["CPUExecutionProvider"])

    def ask(images: npt.NDArray[np.uint8]) -> tuple[Logits, Logits]:
        logits, probabilities = session.run(list(OUTPUTS), {INPUT: images})
        return logits, probabilities

    return ask


def _require(*names: str) -> None:
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise MissingDependencyError(
                f"the package {name} is not installed",
                where="format=onnx",
                remedy="pip install 'heritage[export]'",
            ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's own notes, which are for its developers, off the console."""
    noisy = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in noisy]
    for logger in noisy:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(noisy, levels, strict=True):
            logger.setLevel(level)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
