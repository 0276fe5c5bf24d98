"""k nearest neighbours by cosine similarity, for many k and temperatures from one product.

The vote is that of `heritage.models.heads.NearestNeighbourHead`, which a fitted probe becomes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from heritage.probes.scaling import unit
from heritage.probes.task import Classes, Doubles, Floats

FLOOR = 1e-6
_BLOCK = 1024  # queries whose similarities are held at once


@dataclass(frozen=True)
class Neighbours:
    """Stored features.

    Attributes:
        mean: Subtracted from features before they are scaled to length 1, (D,).
        features: Of length 1, (N, D), rounded to float16.
        targets: Class positions (N,).
        class_weights: Factors of the classes' votes, (K,).
    """

    mean: Floats
    features: Floats
    targets: Classes
    class_weights: Doubles

    def scores(self, features: Floats, settings: Sequence[tuple[int, float]]) -> Floats:
        """Return log shares of the votes (S, N, K) of features (N, D).

        Args:
            features: The queries.
            settings: Number of neighbours and temperature of each setting.
        """
        most = min(max(count for count, _ in settings), len(self.features))
        queries, stored = torch.from_numpy(unit(features - self.mean)), torch.from_numpy(self.features).T
        classes, targets = len(self.class_weights), torch.from_numpy(self.targets)
        weights = torch.from_numpy(self.class_weights).float()
        logits = np.empty((len(settings), len(features), classes), dtype=np.float32)
        for start in range(0, len(features), _BLOCK):
            nearest, rows = (queries[start : start + _BLOCK] @ stored).topk(most, dim=1)
            member = targets[rows]
            for number, (count, temperature) in enumerate(settings):
                strength = torch.exp((nearest[:, :count] - nearest[:, :1]) / temperature)
                votes = (
                    torch.zeros(len(nearest), classes).scatter_add_(1, member[:, :count], strength) * weights
                )
                share = votes / votes.sum(dim=1, keepdim=True)
                logits[number, start : start + _BLOCK] = torch.log(share + FLOOR).numpy()
        return logits


def fit_neighbours(features: Floats, targets: Classes, class_weights: Doubles, *, centre: bool) -> Neighbours:
    """Store features (N, D) with their classes (N,).

    Args:
        features: (N, D).
        targets: Class positions (N,).
        class_weights: Factors of the classes' votes, (K,), positive.
        centre: Whether the mean of all features is subtracted first.
    """
    mean = features.mean(axis=0, dtype=np.float64).astype(np.float32)
    mean = mean if centre else np.zeros_like(mean)
    rounded = unit(features - mean).astype(np.float16).astype(np.float32)
    return Neighbours(mean, rounded, targets, class_weights)
