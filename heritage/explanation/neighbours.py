"""Nearest training images of an image by the cosine similarity of the network's features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from heritage.core.image_io import Pixels
from heritage.features.neighbours import nearest
from heritage.inference.checkpoint import TrainedClassifier
from heritage.inference.embeddings import compute_embeddings
from heritage.inference.test_set import TestSet


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A training image.

    Attributes:
        label: Its class.
        file: Path relative to the data set's folder.
        cosine: Cosine similarity of its features.
        pixels: The network's input, RGB, (S, S, 3).
    """

    label: str
    file: str
    cosine: float
    pixels: Pixels


class Neighbours:
    """Nearest training images of the images of a split.

    Args:
        classifier: The trained network.
        test_set: Its own data set.
        rows: The rows of the split's predicted images, ascending.
        device: Where to compute.
        count: Number of neighbours of each image.
    """

    def __init__(
        self,
        classifier: TrainedClassifier,
        test_set: TestSet,
        rows: npt.NDArray[np.int64],
        device: torch.device,
        count: int,
    ) -> None:
        self._data = test_set.data
        self._manifest = test_set.manifest("train")
        self._train_rows, self._train = compute_embeddings(classifier, test_set, "train", device)
        self._features = compute_embeddings(classifier, test_set, test_set.split, device, rows=rows)[1]
        self._count = count

    def of(self, indices: npt.NDArray[np.int64]) -> list[list[Neighbour]]:
        """Return the neighbours of images, the most similar first.

        Args:
            indices: Indices among the split's predicted images.
        """
        nearest_rows, cosines = nearest(self._features[indices], self._train, self._count)
        rows = self._train_rows[nearest_rows]
        pictures = iter(self._data.eval_images("train", rows.ravel()))
        files, labels = self._manifest.table["file"], self._manifest.table["class"]
        return [
            [
                Neighbour(labels[int(row)].as_py(), files[int(row)].as_py(), float(cosine), next(pictures))
                for row, cosine in zip(line, similarities, strict=True)
            ]
            for line, similarities in zip(rows, cosines, strict=True)
        ]
