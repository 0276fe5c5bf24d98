"""A program of torch.export: PyTorch without this package."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from heritage.errors import ExportError
from heritage.exporters.exporter import DESCRIPTION, INPUT, Exporter, Logits, PredictFunction

FILE = "model.pt2"


class TorchExportExporter(Exporter):
    """Writes ``model.pt2`` for batches of any size, with the description inside."""

    name = "torch_export"

    def write(self, folder: Path) -> None:
        """Write ``model.pt2``.

        Raises:
            ExportError: A part of the network cannot be traced.
        """
        size = self.source.trained.image_size
        example = torch.zeros(2, size, size, 3, dtype=torch.uint8)
        batch = torch.export.Dim("batch", min=1, max=65_536)
        try:
            program = torch.export.export(self.source.model, (example,), dynamic_shapes={INPUT: {0: batch}})
        except (RuntimeError, ValueError) as error:  # torch's user errors are ValueErrors or RuntimeErrors
            reason = str(error).strip().partition("\n")[0]
            raise ExportError(
                f"the network cannot be traced ({reason})",
                where="format=torch_export",
                remedy="try format=safetensors",
            ) from error
        description = json.dumps(self.source.description, ensure_ascii=False)
        torch.export.save(program, folder / FILE, extra_files={DESCRIPTION: description})

    def open(self, folder: Path) -> PredictFunction:
        """Load ``model.pt2``."""
        model = torch.export.load(folder / FILE).module()

        def predict(images: npt.NDArray[np.uint8]) -> tuple[Logits, Logits]:
            with torch.inference_mode():
                logits, probabilities = model(torch.from_numpy(images))
            return logits.numpy(), probabilities.numpy()

        return predict

    def usage(self) -> str:
        """Return how to run the program with PyTorch."""
        size = self.source.trained.image_size
        return f"""```python
import torch

model = torch.export.load("{FILE}").module()
images = torch.zeros(1, {size}, {size}, 3, dtype=torch.uint8)  # RGB, resized as heritage.json describes
logits, probabilities = model(images)
```"""
