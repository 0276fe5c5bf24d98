"""ONNX Runtime, in any language; needs the extra: pip install 'heritage[export]'."""

from __future__ import annotations

import contextlib
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from heritage.errors import ExportError
from heritage.exporters.exporter import INPUT, OUTPUTS, Exporter, Logits, PredictFunction

FILE = "model.onnx"


class OnnxExporter(Exporter):
    """Writes ``model.onnx`` for batches of any size, with the description as metadata."""

    name = "onnx"
    packages = ("onnx", "onnxscript", "onnxruntime")
    extra = "export"

    def write(self, folder: Path) -> None:
        """Write ``model.onnx``.

        Raises:
            ExportError: ONNX has no operator for a part of the network.
        """
        size = self.source.trained.image_size
        example = torch.zeros(2, size, size, 3, dtype=torch.uint8)
        batch = torch.export.Dim("batch", min=1, max=65_536)
        try:
            with _quiet():
                program = torch.onnx.export(
                    self.source.model,
                    (example,),
                    input_names=[INPUT],
                    output_names=list(OUTPUTS),
                    dynamic_shapes={INPUT: {0: batch}},
                    dynamo=True,
                    verbose=False,
                )
        except (torch.onnx.OnnxExporterError, RuntimeError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise ExportError(
                f"the network cannot be written as ONNX ({reason})",
                where="format=onnx",
                remedy="try format=torch_export",
            ) from error
        if program is None:
            raise TypeError("torch.onnx.export with dynamo returns a program")
        for name, value in self.source.description.items():
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            program.model.metadata_props[name] = text
        program.save(folder / FILE)

    def open(self, folder: Path) -> PredictFunction:
        """Load ``model.onnx`` into ONNX Runtime on the CPU."""
        import onnxruntime

        session = onnxruntime.InferenceSession(str(folder / FILE), providers=["CPUExecutionProvider"])

        def predict(images: npt.NDArray[np.uint8]) -> tuple[Logits, Logits]:
            logits, probabilities = session.run(list(OUTPUTS), {INPUT: images})
            return logits, probabilities

        return predict

    def usage(self) -> str:
        """Return how to run the file with ONNX Runtime."""
        size = self.source.trained.image_size
        return f"""```python
import json, numpy as np, onnxruntime

session = onnxruntime.InferenceSession("{FILE}")
images = np.zeros((1, {size}, {size}, 3), np.uint8)  # RGB, resized as heritage.json describes
logits, probabilities = session.run(None, {{"images": images}})
classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
```"""


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's developer messages off the console."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
