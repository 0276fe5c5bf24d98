"""Feature vectors of images before the classifier, and nearest neighbours among them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from heritage.inference.checkpoint import NormalizedModel, TrainedClassifier
from heritage.inference.predictions import predict_split
from heritage.inference.test_set import TestSet

Floats = npt.NDArray[np.floating]

_BLOCK = 1024  # rows of similarities held at once


def nearest(
    features: Floats, candidates: Floats, count: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return the nearest neighbours by cosine similarity, the most similar first.

    Args:
        features: Feature vectors of the queries, (N, D).
        candidates: Feature vectors to choose from, (M, D).
        count: Number of neighbours, at most M.

    Returns:
        Rows of the candidates and cosine similarities, both (N, count).
    """
    queries, others = unit_vectors(features), unit_vectors(candidates)
    rows, cosines = [], []
    for start in range(0, len(queries), _BLOCK):
        similarity = queries[start : start + _BLOCK] @ others.T
        order = np.argsort(-similarity, axis=1, kind="stable")[:, :count]
        rows.append(order)
        cosines.append(np.take_along_axis(similarity, order, axis=1))
    return np.concatenate(rows), np.concatenate(cosines)


def unit_vectors(features: Floats) -> npt.NDArray[np.float64]:
    """Return feature vectors (N, D) scaled to length 1."""
    values = features.astype(np.float64)
    length = np.linalg.norm(values, axis=1, keepdims=True)
    scaled: npt.NDArray[np.float64] = values / np.maximum(length, 1e-12)
    return scaled


class FeatureExtractor(nn.Module):
    """The features of a network before its classifier: uint8 images (B, S, S, 3) to (B, D)."""

    def __init__(self, model: NormalizedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """Return the feature vectors of images."""
        net: Any = self.model.net
        features: Tensor = net.forward_head(
            net.forward_features(self.model.normalize(images)), pre_logits=True
        )
        return features.flatten(1)


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
