"""Nearest neighbours among feature vectors, by cosine similarity."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

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
