"""Several images of one request: the prediction for one object, and the similarity of each pair."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from heritage.metrics.objects import combined
from heritage.server.batcher import NetworkOutput
from heritage.server.schemas import ObjectPrediction


def combined_output(outputs: Sequence[NetworkOutput]) -> NetworkOutput:
    """Return the output for an object of several photographs.

    Probabilities are averaged, as those of test-time augmentation are (`heritage.prediction.predictor`), and
    so are normalised embeddings and outlier scores.
    """
    probabilities = combined([output.probabilities for output in outputs])
    embedding = np.stack([_normalised(output) for output in outputs]).mean(axis=0)
    scores = [output.outlier_score for output in outputs if output.outlier_score is not None]
    score = float(np.mean(scores)) if scores else None
    return NetworkOutput(probabilities, np.asarray(embedding, dtype=np.float32), outlier_score=score)


def object_id(ids: Sequence[str]) -> str:
    """Return the id of an object: the SHA-256 of its photographs' ids."""
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()


def without_views(ids: Sequence[str]) -> ObjectPrediction:
    """Return the response for an object of which no photograph has a prediction."""
    return ObjectPrediction(id=object_id(ids), views=0, prediction=None)


def pairwise_similarity(outputs: Sequence[NetworkOutput | None]) -> list[list[float | None]]:
    """Return the cosine similarity of the embeddings of each pair; None for images without an output."""
    directions = [None if output is None else _normalised(output) for output in outputs]
    return [
        [
            None if one is None or other is None else round(float(np.clip(one @ other, -1, 1)), 4)
            for other in directions
        ]
        for one in directions
    ]


def _normalised(output: NetworkOutput) -> npt.NDArray[np.float32]:
    return output.embedding / max(float(np.linalg.norm(output.embedding)), 1e-12)
