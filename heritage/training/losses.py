"""The loss axis of `balance`.

A loss takes logits z of shape (B, K) and either class positions of shape (B,) or class shares of shape
(B, K), as mixing images makes them, and returns a scalar. Losses differ in `ClassLoss.penalties` alone:
what each class would cost if it were the true one. Shares, label smoothing and class weights act on
these costs in the same way for all of them, so every loss goes with every weighting and every mixing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from heritage.core.types import NonNegativeFloat, PositiveFloat
from heritage.errors import ConfigError

Smoothing = Annotated[float, Field(ge=0, lt=1)]
Counts = Mapping[str, int]
Weights = npt.NDArray[np.float64]


class ClassLoss(nn.Module, ABC):
    """The weighted mean of what the true classes cost.

    With targets t (shares that sum to 1) and class weights w, a batch's loss is Σ w·t·cost / Σ w·t, as in
    Keras and torch: weights change what images count against each other, not the scale of the loss.

    Args:
        label_smoothing: The share of a target spread over all classes (Szegedy et al. 2016, section 7).
        weights: How much each class counts, shape (K,); None counts all alike.

    Attributes:
        counts_classes: Whether the loss itself goes by how often classes are shown.
        weighted: Whether the weights act; `DeferredWeighting` turns them on later.
    """

    counts_classes: ClassVar[bool] = False
    weights: Tensor | None

    def __init__(self, label_smoothing: float, weights: Weights | None) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing
        self.weighted = True
        tensor = None if weights is None else torch.tensor(weights, dtype=torch.float32)
        self.register_buffer("weights", tensor, persistent=False)

    @abstractmethod
    def penalties(self, logits: Tensor) -> Tensor:
        """Return what each class costs if it is the true one: logits (B, K) → (B, K)."""

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of a batch, in float32 whatever the logits' precision."""
        costs = self.penalties(logits.float())
        classes = costs.shape[1]
        shares = functional.one_hot(targets, classes) if targets.ndim == 1 else targets
        shares = shares.to(costs.dtype)
        counted = torch.tensor(float(len(shares)), device=costs.device)
        if self.weights is not None and self.weighted:
            costs = costs * self.weights
            counted = (shares @ self.weights).sum()
        smooth = self.label_smoothing
        return (costs * ((1 - smooth) * shares + smooth / classes)).sum() / counted


class CrossEntropy(ClassLoss):
    """Softmax cross entropy: −log softmax(z).

    Args:
        label_smoothing: As in `ClassLoss`.
        counts: Not looked at; a run gives them to every loss.
        weights: As in `ClassLoss`.
    """

    def __init__(self, label_smoothing: Smoothing, *, counts: Counts, weights: Weights | None) -> None:
        super().__init__(label_smoothing, weights)

    def penalties(self, logits: Tensor) -> Tensor:
        """Return −log p of each class, (B, K)."""
        return -functional.log_softmax(logits, dim=1)


class Focal(ClassLoss):
    """Focal loss: −(1 − p)^γ · log p (Lin et al. 2017, equation 4, in its softmax form).

    Images that are recognised with certainty count less; γ = 0 is cross entropy.

    Args:
        gamma: The focusing parameter γ; the paper's best is 2.
        label_smoothing: As in `ClassLoss`.
        counts: Not looked at; a run gives them to every loss.
        weights: As in `ClassLoss`; the paper's α.
    """

    def __init__(
        self, gamma: NonNegativeFloat, label_smoothing: Smoothing, *, counts: Counts, weights: Weights | None
    ) -> None:
        super().__init__(label_smoothing, weights)
        self.gamma = gamma

    def penalties(self, logits: Tensor) -> Tensor:
        """Return −(1 − p)^γ · log p of each class, (B, K)."""
        log_p = functional.log_softmax(logits, dim=1)
        # a power below 1 has no slope at 0
        rest = (-torch.expm1(log_p)).clamp(min=torch.finfo(log_p.dtype).eps)
        return -(rest**self.gamma) * log_p


class LogitAdjusted(ClassLoss):
    """Cross entropy of logits shifted by the classes' frequencies: −log softmax(z + τ · log π).

    The network learns what speaks for a class beyond its frequency, and is asked without the shift
    (Menon et al. 2021, equation 10). τ = 1 is balanced softmax (Ren et al. 2020, equation 4), τ = 0 cross
    entropy; equal counts change nothing.

    Args:
        tau: The strength τ.
        label_smoothing: As in `ClassLoss`.
        counts: How often an epoch shows each of the K classes. Where sampling has balanced them already
            there is nothing left to shift.
        weights: As in `ClassLoss`.

    Raises:
        ConfigError: A class without images has no frequency.
    """

    counts_classes = True
    shift: Tensor

    def __init__(
        self, tau: NonNegativeFloat, label_smoothing: Smoothing, *, counts: Counts, weights: Weights | None
    ) -> None:
        super().__init__(label_smoothing, weights)
        self.register_buffer("shift", tau * torch.log(_shares(counts)).float(), persistent=False)

    def penalties(self, logits: Tensor) -> Tensor:
        """Return −log softmax(z + τ · log π) of each class, (B, K)."""
        return -functional.log_softmax(logits + self.shift, dim=1)


class LabelDistributionAwareMargin(ClassLoss):
    """LDAM: cross entropy with a margin Δ ∝ n^(−1/4) around each class (Cao et al. 2019, equation 12).

    The true class y must win by Δ_y, which is larger the rarer the class is.

    Args:
        max_margin: The margin of the rarest class; the paper's is 0.5. 0 is cross entropy of scaled logits.
        scale: What logits are multiplied by. The paper's 30 belongs to its cosine classifier, whose logits
            lie in [−1, 1]; those of a linear classifier find their scale by themselves: 1.
        label_smoothing: As in `ClassLoss`; the paper has none.
        counts: How often an epoch shows each of the K classes.
        weights: As in `ClassLoss`.

    Raises:
        ConfigError: A class without images has no margin.
    """

    counts_classes = True
    margins: Tensor

    def __init__(
        self,
        max_margin: NonNegativeFloat,
        scale: PositiveFloat,
        label_smoothing: Smoothing,
        *,
        counts: Counts,
        weights: Weights | None,
    ) -> None:
        super().__init__(label_smoothing, weights)
        self.scale = scale
        raw = _shares(counts) ** -0.25
        self.register_buffer("margins", (max_margin * raw / raw.max()).float(), persistent=False)

    def penalties(self, logits: Tensor) -> Tensor:
        """Return the cost of each class with its own margin taken off its logit, (B, K)."""
        # [b, k] are the logits of image b if k were its class: z with Δ_k taken off z_k
        handicapped = logits.unsqueeze(1) - torch.diag(self.margins)  # (B, K, K)
        log_p = functional.log_softmax(self.scale * handicapped, dim=2)
        return -torch.diagonal(log_p, dim1=1, dim2=2)


def _shares(counts: Counts) -> Tensor:
    """Return each class's part of all images, (K,) in float64."""
    if empty := [name for name, count in counts.items() if not count]:
        raise ConfigError(
            f"no image of {', '.join(empty)} in the training set", where="balance.loss",
            remedy="leave the class out of data.classes, or use balance/loss=cross_entropy",
        )  # fmt: skip
    numbers = torch.tensor(list(counts.values()), dtype=torch.float64)
    return numbers / numbers.sum()
