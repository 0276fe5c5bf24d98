"""Predictions of a network for all batches of a loader, on one device and without padding."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from heritage.core.numbers import counted
from heritage.data.loader import ArtefactLoader
from heritage.errors import TrainingError
from heritage.metrics.calibration import cross_entropy, softmax
from heritage.metrics.finite import finite_rows

_AUTOCAST = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


class ModelOutputs(NamedTuple):
    """Outputs of a network for the images that could be read, N of them; all finite."""

    rows: npt.NDArray[np.int64]
    """Positions in the loader's dataset, shape (N,)."""
    targets: npt.NDArray[np.int64]
    """Class positions, shape (N,)."""
    logits: npt.NDArray[np.float32]
    """Shape (N, K)."""

    @property
    def probabilities(self) -> npt.NDArray[np.float64]:
        """Softmax of the logits, shape (N, K)."""
        return softmax(self.logits)

    @property
    def loss(self) -> float:
        """Mean cross entropy."""
        return float(cross_entropy(self.logits, self.targets).mean())

    @classmethod
    def concatenate(cls, batches: Sequence[ModelOutputs]) -> ModelOutputs:
        """Join the predictions of several batches, as `Trainer.predict` returns them."""
        return cls(*(np.concatenate(arrays) for arrays in zip(*batches, strict=True)))


def predict_loader(
    model: nn.Module,
    loader: ArtefactLoader,
    device: torch.device,
    *,
    precision: str = "32-true",
    progress: Callable[[int], None] | None = None,
) -> ModelOutputs:
    """Run a model over a loader.

    Images for which the output is not finite are left out, and are added to the loader's `not_finite`.

    Args:
        model: uint8 images (B, S, S, 3) to logits (B, K).
        loader: The batches, in order.
        device: The device to compute on.
        precision: Lightning's name of the precision; mixed ones use autocast, as training does.
        progress: Called with the number of images after each batch.

    Raises:
        TrainingError: The output is finite for no image.
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
    whole = ModelOutputs(
        torch.cat(rows).numpy(), torch.cat(targets).numpy(), torch.cat(logits).float().cpu().numpy()
    )
    finite = finite_rows(whole.logits)
    if finite.all():
        return whole
    if not finite.any():
        raise TrainingError(
            f"no prediction for any of {counted(len(finite), 'image')}: the network's output is not finite",
            where="network",
            remedy="the training diverged: use an earlier checkpoint, or train with a lower learning rate",
        )
    loader.not_finite.update(whole.rows[~finite].tolist())
    return ModelOutputs(whole.rows[finite], whole.targets[finite], whole.logits[finite])


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager[object]:
    """Return the context in which a model computes in one of Lightning's precisions."""
    if precision in _AUTOCAST:
        return torch.autocast(device.type, dtype=_AUTOCAST[precision])
    return contextlib.nullcontext()
