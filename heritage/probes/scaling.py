"""Scaling of features before a probe, and its removal from the fitted weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from heritage.probes.task import Doubles, Floats

_CONSTANT = 1e-6  # of the largest deviation: such a feature is left as it is


def unit(vectors: Floats) -> Floats:
    """Return vectors (N, D) of length 1; zeros stay zeros."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Floats = vectors / np.maximum(length, 1e-12)
    return scaled


@dataclass(frozen=True)
class Scaling:
    """Standardised features are (x − mean) / deviation.

    Attributes:
        mean: (D,).
        deviation: (D,), positive.
    """

    mean: Doubles
    deviation: Doubles

    @classmethod
    def of(cls, features: Floats, *, each: bool) -> Scaling:
        """Measure features (N, D).

        Args:
            features: The training images'.
            each: Whether every feature is divided by its own standard deviation; otherwise all are divided
                by the root of their mean variance, which keeps their relative sizes.
        """
        mean = features.mean(axis=0, dtype=np.float64)
        deviation = features.std(axis=0, dtype=np.float64)
        if not each:
            deviation = np.full_like(deviation, np.sqrt(np.mean(deviation**2)))
        largest = deviation.max(initial=0.0)
        return cls(mean, np.where(deviation > _CONSTANT * largest, deviation, max(largest, 1e-12)))

    def apply(self, features: Floats) -> Floats:
        """Return standardised features (N, D)."""
        mean, deviation = self.mean.astype(np.float32), self.deviation.astype(np.float32)
        scaled: Floats = (features - mean) / deviation
        return scaled

    def fold(self, weight: Floats, bias: Floats) -> tuple[Floats, Floats]:
        """Return the weight (K, D) and bias (K,) for features that are not standardised."""
        raw = weight.astype(np.float64) / self.deviation
        return raw.astype(np.float32), (bias - raw @ self.mean).astype(np.float32)
