"""A trained network's answers for a whole loader, on one device, nothing padded."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from heritage.data.loader import ArtefactLoader

_AUTOCAST = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


class Predictions(NamedTuple):
    """What a network said of the images that could be read."""

    rows: npt.NDArray[np.int64]
    """Positions in the loader's dataset, shape (N,)."""
    targets: npt.NDArray[np.int64]
    """The class of each, shape (N,)."""
    logits: npt.NDArray[np.float32]
    """Shape (N, K)."""

    @property
    def probabilities(self) -> npt.NDArray[np.float64]:
        """Softmax of the logits, shape (N, K)."""
        shifted = self.logits.astype(np.float64) - self.logits.max(axis=1, keepdims=True)
        powers = np.exp(shifted)
        found: npt.NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
        return found


def predict_loader(
    model: nn.Module,
    loader: ArtefactLoader,
    device: torch.device,
    *,
    precision: str = "32-true",
    progress: Callable[[int], None] | None = None,
) -> Predictions:
    """Run a model over a loader.

    Args:
        model: uint8 images (B, S, S, 3) to logits (B, K).
        loader: Batches in order.
        device: Where to compute.
        precision: Lightning's name of the number format; mixed ones autocast as in training.
        progress: Called with the number of images after each batch.
    """
    rows, targets, logits = [], [], []
    was_training = model.training
    model.to(device).eval()
    with torch.inference_mode(), autocast(device, precision):
        for batch in loader:
            logits.append(model(batch.images.to(device, non_blocking=True)).float())
            rows.append(batch.rows)
            targets.append(batch.targets)
            if progress is not None:
                progress(len(batch.rows))
    model.train(was_training)
    return Predictions(
        torch.cat(rows).numpy(), torch.cat(targets).numpy(), torch.cat(logits).float().cpu().numpy()
    )


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager[object]:
    """Return what makes a block compute in a number format of Lightning's."""
    if precision in _AUTOCAST:
        return torch.autocast(device.type, dtype=_AUTOCAST[precision])
    return contextlib.nullcontext()
