"""Nearest training images of an image by the cosine similarity of the network's features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from heritage.core.image_io import Pixels
from heritage.features.compute import ImageFeatures
from heritage.features.neighbours import nearest
from heritage.inference.embeddings import of_predicted
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
        test_set: Its own data set.
        rows: The rows of the split's predicted images, ascending.
        count: Number of neighbours of each image.
        stored: The features of the data set.
    """

    def __init__(
        self,
        test_set: TestSet,
        rows: npt.NDArray[np.int64],
        count: int,
        stored: ImageFeatures,
    ) -> None:
        self._data = test_set.data
        self._manifest = test_set.manifest("train")
        self._train_rows, self._train = stored.of("train")
        self._features = of_predicted(stored, test_set.split, rows)
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
