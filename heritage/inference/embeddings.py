"""Pictures as a network sees them: which are alike, and a map of them all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.figure import Figure
from sklearn.manifold import TSNE
from torch import Tensor, nn

from heritage.core.progress import Progress
from heritage.inference.checkpoint import NormalizedModel, TrainedClassifier
from heritage.inference.test_set import TestSet
from heritage.reports.charts import PALETTE
from heritage.reports.figures import save
from heritage.training.predict_loop import Predictions, predict_loader

Floats = npt.NDArray[np.floating]

_BLOCK = 1024  # rows of similarities held at once


def nearest(
    features: Floats, among: Floats, count: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return the most alike by the cosine of their features, the most alike first.

    Args:
        features: Of pictures, (N, D).
        among: Of those to choose from, (M, D).
        count: How many, at most M.

    Returns:
        Their rows in ``among`` and the cosines, both (N, count).
    """
    ours, theirs = _unit(features), _unit(among)
    rows, cosines = [], []
    for start in range(0, len(ours), _BLOCK):
        alike = ours[start : start + _BLOCK] @ theirs.T
        order = np.argsort(-alike, axis=1, kind="stable")[:, :count]
        rows.append(order)
        cosines.append(np.take_along_axis(alike, order, axis=1))
    return np.concatenate(rows), np.concatenate(cosines)


def picture_map(
    features: Floats, targets: npt.NDArray[np.int64], classes: Sequence[str], path: Path, *, seed: int
) -> None:
    """Draw pictures on a plane, like ones close together (t-SNE, van der Maaten and Hinton 2008).

    Args:
        features: Of each picture, (N, D).
        targets: Shape (N,).
        classes: The class list.
        path: The PNG to write.
        seed: Of the map; another one may look otherwise.
    """
    perplexity = min(30.0, max(2.0, (len(features) - 1) / 4))
    places = TSNE(perplexity=perplexity, init="pca", random_state=seed, metric="cosine").fit_transform(
        _unit(features).astype(np.float32)
    )
    figure = Figure(figsize=(8.6, 6.4), layout="constrained")
    axes = figure.subplots()
    for k, name in enumerate(classes):
        mine = targets == k
        if mine.any():
            across, up = places[mine].T
            axes.scatter(
                across, up, s=9, alpha=0.75, color=PALETTE[k % len(PALETTE)], label=name, linewidths=0
            )
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    figure.legend(frameon=False, loc="outside upper left", ncols=6, markerscale=2)
    save(figure, path)


def _unit(features: Floats) -> npt.NDArray[np.float64]:
    values = features.astype(np.float64)
    length = np.linalg.norm(values, axis=1, keepdims=True)
    found: npt.NDArray[np.float64] = values / np.maximum(length, 1e-12)
    return found


class FeatureExtractor(nn.Module):
    """The last features of a network before its classifier: uint8 images (B, S, S, 3) to (B, D)."""

    def __init__(self, model: NormalizedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """Return the features of images."""
        net: Any = self.model.net
        found: Tensor = net.forward_head(net.forward_features(self.model.normalize(images)), pre_logits=True)
        return found.flatten(1)


def compute_embeddings(
    trained: TrainedClassifier, testbed: TestSet, split: str, device: torch.device
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return the rows of a split that could be read, and their features (N, D)."""
    answers = predict_with(
        FeatureExtractor(trained.model), f"features of {split}", trained, testbed, split, device
    )
    return answers.rows, answers.logits


def predict_with(
    model: nn.Module,
    what: str,
    trained: TrainedClassifier,
    testbed: TestSet,
    split: str,
    device: torch.device,
) -> Predictions:
    """Run another model than the classifier itself over a split, with a progress bar."""
    model.eval()  # `predict_loader` leaves a model in the mode that it found, and this one holds the network
    loader = testbed.data.eval_loader(split)
    with Progress(what, len(testbed.data.rows(split))) as progress:
        return predict_loader(
            model, loader, device, precision=trained.precision(device), progress=progress.advance
        )
