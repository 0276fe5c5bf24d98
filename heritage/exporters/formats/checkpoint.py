"""A run folder with one checkpoint, which every command takes as ckpt=; for averaged weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import yaml  # type: ignore[import-untyped]

from heritage.core.version import __version__
from heritage.exporters.exporter import Exporter, Logits, PredictFunction
from heritage.inference.checkpoint import load_checkpoint
from heritage.models.weights import INITIAL_WEIGHTS, OUR_PREFIX, OUR_RECORD
from heritage.runs.files import BEST_CHECKPOINT, CHECKPOINTS_FOLDER, CONFIG_FILE
from heritage.runs.training_images import RECORD


class CheckpointExporter(Exporter):
    """Writes ``checkpoints/best.ckpt`` and ``config.yaml``, as training does, without its state."""

    name = "checkpoint"

    def write(self, folder: Path) -> None:
        """Write the run folder."""
        trained = self.source.trained
        state = trained.model.net.state_dict()
        record = {
            "classes": list(trained.classes),
            "fingerprint": trained.fingerprint,
            "config": trained.config,
            RECORD: trained.training_images.record(),
        }
        if trained.initial_weights is not None:
            record[INITIAL_WEIGHTS] = trained.initial_weights.record()
        content = {
            "state_dict": {f"{OUR_PREFIX}{name}": value.contiguous() for name, value in state.items()},
            "epoch": trained.epoch,
            "global_step": 0,
            OUR_RECORD: record,
        }
        (folder / CHECKPOINTS_FOLDER).mkdir()
        torch.save(content, folder / CHECKPOINTS_FOLDER / BEST_CHECKPOINT)
        text = yaml.safe_dump(json.loads(json.dumps(trained.config)), sort_keys=False, allow_unicode=True)
        (folder / CONFIG_FILE).write_text(text, encoding="utf-8")

    def open(self, folder: Path) -> PredictFunction:
        """Load the run folder."""
        model = load_checkpoint(folder).model

        def predict(images: npt.NDArray[np.uint8]) -> tuple[Logits, None]:
            with torch.inference_mode():
                logits: Logits = model(torch.from_numpy(images)).float().numpy()
            return logits, None

        return predict

    def usage(self) -> str:
        """Return how to load the folder with this package."""
        return f"""```python
import heritage  # {__version__}

heritage.load("<this folder>").predict("photograph.jpg")
```

`heritage evaluate ckpt=<this folder>` fits the temperature and the threshold."""

    def messages(self, folder: Path) -> list[str]:
        """Return how to calibrate the network."""
        return [f"calibrate it: heritage evaluate ckpt={folder}"]
