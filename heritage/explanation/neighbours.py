"""The training photographs that a network finds most like a picture: "why: it looks like these"."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from heritage.core.image_io import Pixels
from heritage.inference.checkpoint import TrainedClassifier
from heritage.inference.embeddings import compute_embeddings, nearest
from heritage.inference.test_set import TestSet


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A training photograph.

    Attributes:
        label: Its class.
        file: Its file, relative to the data set's folder.
        cosine: How alike its features are, at most 1.
        pixels: RGB, (S, S, 3), as the network sees it.
    """

    label: str
    file: str
    cosine: float
    pixels: Pixels


class Neighbours:
    """Nearest training photographs of the images of a split.

    Args:
        trained: The network.
        testbed: Its own data set.
        device: Where to compute.
        count: Neighbours of each image.
    """

    def __init__(
        self, trained: TrainedClassifier, testbed: TestSet, device: torch.device, count: int
    ) -> None:
        self._data = testbed.data
        self._manifest = testbed.manifest("train")
        self._train_rows, self._train = compute_embeddings(trained, testbed, "train", device)
        self._features = compute_embeddings(trained, testbed, testbed.split, device)[1]
        self._count = count

    def of(self, places: npt.NDArray[np.int64]) -> list[list[Neighbour]]:
        """Return the neighbours of images, the most alike first.

        Args:
            places: Positions among the split's readable images, in their order.
        """
        found, cosines = nearest(self._features[places], self._train, self._count)
        rows = self._train_rows[found]
        pictures = iter(self._data.eval_images("train", rows.ravel()))
        files, labels = self._manifest.table["file"], self._manifest.table["class"]
        return [
            [
                Neighbour(labels[int(row)].as_py(), files[int(row)].as_py(), float(cosine), next(pictures))
                for row, cosine in zip(line, alike, strict=True)
            ]
            for line, alike in zip(rows, cosines, strict=True)
        ]
