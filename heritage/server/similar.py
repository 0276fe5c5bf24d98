"""The museum objects most similar to an image: nearest neighbours in the data set, by embedding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from heritage.core.class_names import ClassNames
from heritage.server.schemas import MuseumObject

_CANDIDATES = 50  # images considered per object: an object may have many
_PAIRS = 4000  # pairs whose median similarity is typical


@dataclass(frozen=True)
class SimilarObjects:
    """An index of a data set, which needs neither the data set nor its images.

    Attributes:
        table: One row per image, with the columns of `heritage.server.similar_index.SCHEMA`.
        embeddings: The normalised embeddings, shape (N, D).
        names: Names of classes in other languages that the data set brought along.
    """

    table: pa.Table
    embeddings: npt.NDArray[np.float32]
    names: ClassNames

    def nearest(self, embedding: npt.NDArray[np.float32], count: int) -> list[MuseumObject]:
        """Return the most similar objects, each by its most similar image.

        Args:
            embedding: Shape (D,).
            count: Number of objects at most.
        """
        direction = embedding / max(float(np.linalg.norm(embedding)), 1e-12)
        similarity = self.embeddings @ direction
        objects: list[MuseumObject] = []
        groups: set[str] = set()
        for position in np.argsort(-similarity, kind="stable")[: _CANDIDATES * count]:
            row = int(position)
            group = self._value("group", row)
            if group in groups:
                continue
            groups.add(group)
            objects.append(self._object(row, float(np.clip(similarity[row], -1, 1))))
            if len(objects) == count:
                break
        return objects

    def thumbnail(self, row: int) -> bytes | None:
        """Return a JPEG thumbnail of a row; None if there is none."""
        if not 0 <= row < self.table.num_rows:
            return None
        jpeg: bytes | None = self._value("thumbnail", row)
        return jpeg

    def typical_similarity(self) -> float | None:
        """Return the median similarity of pairs of images of different classes; None with one class."""
        random = np.random.default_rng(0)
        one, other = random.integers(0, self.table.num_rows, (2, _PAIRS))
        labels = np.array(self.table["label"].to_pylist(), dtype=object)
        different = labels[one] != labels[other]
        if not different.any():
            return None
        pairs = self.embeddings[one[different]] * self.embeddings[other[different]]
        return round(float(np.median(pairs.sum(axis=1))), 4)

    def _object(self, row: int, similarity: float) -> MuseumObject:
        plain = {
            name: self._value(name, row)
            for name in ("label", "title", "file", "museum", "credit", "licence", "link")
        }
        shown = None if self._value("thumbnail", row) is None else f"objects/{row}.jpg"
        return MuseumObject(**plain, thumbnail=shown, similarity=round(similarity, 4))

    def _value(self, column: str, row: int) -> Any:
        return self.table[column][row].as_py()
