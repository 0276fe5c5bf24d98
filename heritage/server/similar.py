"""The museum objects most similar to an image: nearest neighbours in the data set, by embedding."""

from __future__ import annotations

import hashlib
import logging
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from heritage.core.bounded_read import require_bounded_zip
from heritage.core.escaping import web_link
from heritage.core.files import atomic_path
from heritage.core.manifest import Manifest
from heritage.core.progress import Progress
from heritage.data.module import available_cores
from heritage.prediction.images import InputDataset, image_batches
from heritage.prediction.inputs import Inputs
from heritage.prediction.predictor import Predictor
from heritage.server.schemas import MuseumObject

log = logging.getLogger(__name__)

_BATCH = 64
_CANDIDATES = 50  # images considered per object: an object may have many


@dataclass(frozen=True)
class SimilarObjects:
    """An index of a data set.

    Attributes:
        manifest: The data set.
        rows: Its readable rows, shape (N,).
        embeddings: Their normalised embeddings, shape (N, D).
    """

    manifest: Manifest
    rows: npt.NDArray[np.int64]
    embeddings: npt.NDArray[np.float32]

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
            row = int(self.rows[position])
            group = str(self._value("group_id", row))
            if group in groups:
                continue
            groups.add(group)
            objects.append(self._object(row, float(np.clip(similarity[position], -1, 1))))
            if len(objects) == count:
                break
        return objects

    def _object(self, row: int, similarity: float) -> MuseumObject:
        museum = self._value("museum", row)
        link = web_link(self._value("permalink", row)) or web_link(self._value("source_url", row))
        return MuseumObject(
            label=str(self._value("class", row)),
            title=self._value("title", row) or self._value("object_name", row),
            museum=self.manifest.museum(museum).name if museum else None,
            credit=self._value("credit", row),
            licence=self._value("licence", row),
            link=link or None,
            thumbnail=f"objects/{row}.jpg",
            similarity=round(similarity, 4),
        )

    def _value(self, column: str, row: int) -> Any:
        if column not in self.manifest.table.column_names:
            return None
        return self.manifest.table[column][row].as_py()


def build_index(predictor: Predictor, manifest: Manifest, cache: Path) -> SimilarObjects:
    """Compute the embeddings of a data set, or read them from the cache.

    Args:
        predictor: The network.
        manifest: The data set.
        cache: The cache folder; file names hold digests of network and data set.
    """
    with predictor.trained.file.open("rb") as file:
        weights = hashlib.file_digest(file, "sha256").hexdigest()
    cached = cache / f"{weights[:16]}-{manifest.fingerprint[:16]}.npz"
    if cached.is_file():
        try:
            require_bounded_zip(cached, cached.stat().st_size)  # NumPy stores arrays uncompressed
            with np.load(cached, allow_pickle=False) as arrays:
                return SimilarObjects(manifest, arrays["rows"], arrays["embeddings"])
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            log.warning("%s is damaged (%s): computing it again", cached, error)
    index = _compute(predictor, manifest)
    with atomic_path(cached) as temporary, temporary.open("wb") as file:
        np.savez(file, rows=index.rows, embeddings=index.embeddings)
    return index


def _compute(predictor: Predictor, manifest: Manifest) -> SimilarObjects:
    trained = predictor.trained
    inputs = Inputs.of(manifest.root, manifest.column("file"))
    dataset = InputDataset(
        inputs, size=trained.image_size, crop_pct=trained.crop_pct, interpolation=trained.interpolation
    )
    rows, embeddings = [], []
    batches = image_batches(
        dataset, start=0, batch_size=_BATCH, num_workers=available_cores(), pin_memory=False
    )
    with Progress("computing embeddings", len(inputs)) as progress:
        for batch in batches:
            progress.advance(len(batch.rows))
            if not len(batch.images):
                continue
            output = predictor.predict_batch(batch.images)
            block = output.embeddings[output.predicted]
            length = np.linalg.norm(block, axis=1, keepdims=True)
            embeddings.append(block / np.maximum(length, 1e-12))
            readable = [row for position, row in enumerate(batch.rows) if position not in batch.errors]
            rows += np.array(readable)[output.predicted].tolist()
    return SimilarObjects(manifest, np.array(rows, dtype=np.int64), np.concatenate(embeddings))
