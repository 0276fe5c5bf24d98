"""The output of a network for a batch of images, and what produces it."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from torch import Tensor

from heritage.metrics.calibration import Floats
from heritage.metrics.finite import finite_rows


class BatchPrediction(NamedTuple):
    """The output of a network for B images."""

    probabilities: Floats
    """With the fitted temperature, shape (B, K)."""
    embeddings: npt.NDArray[np.float32]
    """The input of the network's last layer, shape (B, D)."""

    outlier_scores: Floats | None = None
    """How far each image is from the training images, relative to the threshold, (B,); above 1 it is unlike
    them. None without a fitted score."""

    @property
    def predicted(self) -> npt.NDArray[np.bool_]:
        """For each image whether there is a prediction; none where the network's output is not finite."""
        return finite_rows(self.probabilities) & finite_rows(self.embeddings)


class SupportsPredictBatch(Protocol):
    """A classifier of image batches: `Predictor`, or a stand-in in tests."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The class list, length K."""
        ...

    def predict_batch(self, images: Tensor) -> BatchPrediction:
        """Return probabilities and embeddings of uint8 images (B, S, S, 3)."""
        ...
