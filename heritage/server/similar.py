"""The museum objects that a network finds most similar: its data set, by embedding."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

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


@dataclass(frozen=True)
class SimilarObjects:
    """An index of a data set.

    Attributes:
        manifest: The data set.
        rows: Rows of it that could be read, shape (N,).
        embeddings: Of unit length, shape (N, D).
    """

    manifest: Manifest
    rows: npt.NDArray[np.int64]
    embeddings: npt.NDArray[np.float32]

    def nearest(self, embedding: npt.NDArray[np.float32], count: int) -> list[MuseumObject]:
        """Return the most similar objects, each by its most similar photograph."""
        direction = embedding / max(float(np.linalg.norm(embedding)), 1e-12)
        similarity = self.embeddings @ direction
        found: list[MuseumObject] = []
        seen: set[str] = set()
        for place in np.argsort(-similarity, kind="stable")[: 50 * count]:
            row = int(self.rows[place])
            group = str(self._value("group_id", row))
            if group in seen:
                continue
            seen.add(group)
            found.append(self._object(row, float(np.clip(similarity[place], -1, 1))))
            if len(found) == count:
                break
        return found

    def _object(self, row: int, similarity: float) -> MuseumObject:
        museum = self._value("museum", row)
        link = self._value("permalink", row) or self._value("source_url", row)
        return MuseumObject(
            label=str(self._value("class", row)),
            title=self._value("title", row) or self._value("object_name", row),
            museum=self.manifest.museum(museum).name if museum else None,
            credit=self._value("credit", row),
            licence=self._value("licence", row),
            link=link if link and link.startswith(("https://", "http://")) else None,
            thumbnail=f"objects/{row}.jpg",
            similarity=round(similarity, 4),
        )

    def _value(self, column: str, row: int) -> Any:
        if column not in self.manifest.table.column_names:
            return None
        return self.manifest.table[column][row].as_py()


def build_neighbours(predictor: Predictor, manifest: Manifest, cache: Path) -> SimilarObjects:
    """Ask the network about a whole data set, or read what it said the last time.

    Args:
        predictor: The network.
        manifest: The data set.
        cache: The folder in which the answer is kept, under a name that tells network and data.
    """
    with predictor.trained.file.open("rb") as file:
        weights = hashlib.file_digest(file, "sha256").hexdigest()
    kept = cache / f"{weights[:16]}-{manifest.fingerprint[:16]}.npz"
    if kept.is_file():
        try:
            with np.load(kept, allow_pickle=False) as stored:
                return SimilarObjects(manifest, stored["rows"], stored["embeddings"])
        except (OSError, ValueError, KeyError) as error:
            log.warning("%s is damaged (%s): it is made again", kept, error)
    found = _ask_all(predictor, manifest)
    with atomic_path(kept) as temporary, temporary.open("wb") as file:
        np.savez(file, rows=found.rows, embeddings=found.embeddings)
    return found


def _ask_all(predictor: Predictor, manifest: Manifest) -> SimilarObjects:
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
            found = predictor.predict_batch(batch.images).embeddings
            length = np.linalg.norm(found, axis=1, keepdims=True)
            embeddings.append(found / np.maximum(length, 1e-12))
            rows += [row for place, row in enumerate(batch.rows) if place not in batch.errors]
    return SimilarObjects(manifest, np.array(rows, dtype=np.int64), np.concatenate(embeddings))
