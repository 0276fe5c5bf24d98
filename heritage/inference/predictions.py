"""MODULE."""

from __future__ import annotations

import torch

from heritage.core.progress import Progress
from heritage.errors import ConfigError
from heritage.inference.checkpoint import TrainedClassifier
from heritage.inference.test_set import TestSet
from heritage.training.predict_loop import Predictions, predict_loader


def predict_split(
    trained: TrainedClassifier, testbed: TestSet, split: str, device: torch.device
) -> Predictions:
    """Return the network's answers on a split, showing progress."""
    loader = testbed.data.eval_loader(split)
    with Progress(f"asking about {split}", len(testbed.data.rows(split))) as progress:
        return predict_loader(
            trained.model, loader, device, precision=trained.precision(device), progress=progress.advance
        )


def choose_device(name: str) -> torch.device:
    """Return the device of a name of torch's; ``auto`` takes a GPU where there is one.

    Raises:
        ConfigError: There is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"no device '{name}'", where="device", remedy="use auto, cpu or cuda") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError("no GPU can be used here", where=f"device={name}", remedy="use device=cpu")
    return device
