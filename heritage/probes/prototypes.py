"""Nearest class mean by cosine similarity (Snell et al. 2017; centred as in SimpleShot, Wang et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from heritage.probes.scaling import unit
from heritage.probes.task import ABSENT, Classes, Floats


@dataclass(frozen=True)
class Prototypes:
    """Class vectors.

    Attributes:
        mean: Subtracted from features before they are scaled to length 1, (D,).
        vectors: Of length 1, (K, D); zeros for a class without images.
    """

    mean: Floats
    vectors: Floats

    def scores(self, features: Floats) -> Floats:
        """Return cosine similarities (N, K) of features (N, D)."""
        cosines: Floats = unit(features - self.mean) @ self.vectors.T
        cosines[:, ~self.vectors.any(axis=1)] = ABSENT
        return cosines


def fit_prototypes(features: Floats, targets: Classes, classes: int, *, centre: bool) -> Prototypes:
    """Average the directions of each class's features.

    Args:
        features: (N, D).
        targets: Class positions (N,).
        classes: K.
        centre: Whether the mean of all features is subtracted first.
    """
    mean = features.mean(axis=0, dtype=np.float64).astype(np.float32)
    mean = mean if centre else np.zeros_like(mean)
    directions = unit(features - mean)
    sums = np.zeros((classes, features.shape[1]), dtype=np.float64)
    for k in range(classes):
        sums[k] = directions[targets == k].sum(axis=0, dtype=np.float64)
    return Prototypes(mean, unit(sums.astype(np.float32)))
