"""What a probe is fitted to: the weighted images of one fold, and the scores of held-out ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Classes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Balance:
    """Balancing of the classes, as the heads use it.

    Attributes:
        weights: Weight of each image (N,), from 0; 0 leaves the image out.
        shift: Added to the logits in fitting alone, (K,): τ · log π of logit adjustment; zeros without it.
    """

    weights: Doubles
    shift: Doubles


@dataclass(frozen=True)
class Task:
    """Features and classes to fit a head to.

    Attributes:
        features: (N, D), finite.
        targets: Class positions (N,).
        classes: K. Classes without an image keep a logit that is never the largest.
        balance: Weights of the images, shift of the logits.
    """

    features: Floats
    targets: Classes
    classes: int
    balance: Balance

    @property
    def present(self) -> npt.NDArray[np.bool_]:
        """Whether each class has an image with a positive weight, (K,)."""
        weighted = np.bincount(self.targets, self.balance.weights, minlength=self.classes)
        return np.asarray(weighted > 0)


ABSENT = -1e4
"""Logit of a class without training images."""


@dataclass(frozen=True)
class LinearFits:
    """Linear heads, one for each of S settings: logits x Wᵀ + b.

    Attributes:
        weight: (S, K, D).
        bias: (S, K).
        iterations: Iterations that each took, (S,); 0 for closed forms.
        converged: Whether each met its tolerance, (S,).
    """

    weight: Floats
    bias: Floats
    iterations: Classes
    converged: npt.NDArray[np.bool_]

    def scores(self, features: Floats) -> Floats:
        """Return the logits (S, N, K) of features (N, D)."""
        settings, classes, width = self.weight.shape
        flat = features @ self.weight.reshape(settings * classes, width).T
        logits: Floats = (
            flat.reshape(len(features), settings, classes).transpose(1, 0, 2) + self.bias[:, None]
        )
        return logits
