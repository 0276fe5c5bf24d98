"""The loss axis of `balance`.

A loss takes logits of shape (B, K) and either class positions of shape (B,) or class shares of shape
(B, K), as mixing images makes them, and returns a scalar.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

Smoothing = Annotated[float, Field(ge=0, lt=1)]


class CrossEntropy(nn.Module):
    """Softmax cross entropy with label smoothing (Szegedy et al. 2016) and class weights.

    With weights the batch's loss is Σ w·l / Σ w, as in Keras and torch.

    Args:
        label_smoothing: The share of a target spread over all classes.
        weights: How much each class counts, shape (K,); None counts all alike.
    """

    weights: torch.Tensor | None

    def __init__(self, label_smoothing: Smoothing, weights: npt.NDArray[np.float64] | None) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing
        tensor = None if weights is None else torch.tensor(weights, dtype=torch.float32)
        self.register_buffer("weights", tensor, persistent=False)

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the mean loss of a batch, in float32 whatever the logits' precision."""
        if targets.ndim == 1 or self.weights is None:
            return functional.cross_entropy(
                logits.float(), targets, weight=self.weights, label_smoothing=self.label_smoothing
            )
        # For class shares torch divides by B; dividing by the weights keeps the scale of hard targets.
        total = functional.cross_entropy(
            logits.float(), targets, self.weights, label_smoothing=self.label_smoothing, reduction="sum"
        )
        return total / (targets @ self.weights).sum()
