"""Feature vectors of the images of a test set, before the classifier."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from heritage.features.extractor import FeatureExtractor
from heritage.inference.checkpoint import TrainedClassifier
from heritage.inference.predictions import predict_split
from heritage.inference.test_set import TestSet


def compute_embeddings(
    classifier: TrainedClassifier,
    test_set: TestSet,
    split: str,
    device: torch.device,
    *,
    rows: npt.NDArray[np.int64] | None = None,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return rows of a split's images, (N,), ascending, and their feature vectors, (N, D).

    Args:
        classifier: The trained network.
        test_set: The data set.
        split: ``train``, ``val`` or ``test``.
        device: Where to compute.
        rows: The rows to return; None returns all with finite features.
    """
    outputs = predict_split(
        classifier,
        test_set,
        split,
        device,
        model=FeatureExtractor(classifier.model),
        description=f"features of {split}",
    )
    if rows is None:
        return outputs.rows, outputs.logits
    chosen = np.isin(outputs.rows, rows)  # finite logits have finite features
    return outputs.rows[chosen], outputs.logits[chosen]
