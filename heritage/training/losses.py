"""Loss functions: the ``loss`` axis of ``balance``.

A loss takes logits z of shape (B, K) and targets, either class positions (B,) or class probabilities (B, K)
as mixup and CutMix produce them, and returns a scalar. A subclass of `ClassLoss` defines the loss for each
possible true class only; soft targets, label smoothing and class weights are applied to it in the same way
for all losses, so every loss can be combined with every weighting and every mixing.
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
    """Weighted mean of a per-class loss ℓ.

    With target probabilities t and class weights w, the loss of a batch is Σ w·t·ℓ / Σ w·t, as in Keras and
    torch: weights change the relative influence of images, not the scale of the loss.

    Args:
        label_smoothing: Target probability spread uniformly over all classes (Szegedy et al. 2016, section
            7).
        weights: Class weights, shape (K,); None weights all classes equally.

    Attributes:
        uses_counts: Whether the loss itself depends on class frequencies.
        weights_active: Whether class weights are applied; `DeferredWeighting` turns them on late.
    """

    uses_counts: ClassVar[bool] = False
    weights: Tensor | None

    def __init__(self, label_smoothing: float, weights: Weights | None) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing
        self.weights_active = True
        tensor = None if weights is None else torch.tensor(weights, dtype=torch.float32)
        self.register_buffer("weights", tensor, persistent=False)

    @abstractmethod
    def per_class(self, logits: Tensor) -> Tensor:
        """Return the loss of each image for each possible true class: logits (B, K) → (B, K)."""

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of a batch, in float32 whatever the logits' precision."""
        losses = self.per_class(logits.float())
        classes = losses.shape[1]
        probabilities = functional.one_hot(targets, classes) if targets.ndim == 1 else targets
        probabilities = probabilities.to(losses.dtype)
        total_weight = torch.tensor(float(len(probabilities)), device=losses.device)
        if self.weights is not None and self.weights_active:
            losses = losses * self.weights
            total_weight = (probabilities @ self.weights).sum()
        smooth = self.label_smoothing
        return (losses * ((1 - smooth) * probabilities + smooth / classes)).sum() / total_weight


class CrossEntropy(ClassLoss):
    """Softmax cross entropy: −log softmax(z).

    Args:
        label_smoothing: As in `ClassLoss`.
        counts: Unused; every loss receives them.
        weights: As in `ClassLoss`.
    """

    def __init__(self, label_smoothing: Smoothing, *, counts: Counts, weights: Weights | None) -> None:
        super().__init__(label_smoothing, weights)

    def per_class(self, logits: Tensor) -> Tensor:
        """Return −log p of each class, (B, K)."""
        return -functional.log_softmax(logits, dim=1)


class Focal(ClassLoss):
    """Focal loss: −(1 − p)^γ · log p (Lin et al. 2017, equation 4, in its softmax form).

    Confidently classified images are weighted down; γ = 0 is cross entropy.

    Args:
        gamma: The focusing parameter γ; the paper's best is 2.
        label_smoothing: As in `ClassLoss`.
        counts: Unused; every loss receives them.
        weights: As in `ClassLoss`; the paper's α.
    """

    def __init__(
        self, gamma: NonNegativeFloat, label_smoothing: Smoothing, *, counts: Counts, weights: Weights | None
    ) -> None:
        super().__init__(label_smoothing, weights)
        self.gamma = gamma

    def per_class(self, logits: Tensor) -> Tensor:
        """Return −(1 − p)^γ · log p of each class, (B, K)."""
        log_p = functional.log_softmax(logits, dim=1)
        # the derivative of a power below 1 is infinite at 0
        rest = (-torch.expm1(log_p)).clamp(min=torch.finfo(log_p.dtype).eps)
        return -(rest**self.gamma) * log_p


class LogitAdjusted(ClassLoss):
    """Cross entropy of logits shifted by the log of the class frequencies π: −log softmax(z + τ · log π).

    The shift is absent in evaluation, so predictions no longer favour frequent classes (Menon et al. 2021,
    equation 10). τ = 1 is balanced softmax (Ren et al. 2020, equation 4), τ = 0 cross entropy; with equal
    counts the shift has no effect.

    Args:
        tau: Strength τ of the shift.
        label_smoothing: As in `ClassLoss`.
        counts: Images of each of the K classes in an epoch, after sampling.
        weights: As in `ClassLoss`.

    Raises:
        ConfigError: A class has no images.
    """

    uses_counts = True
    shift: Tensor

    def __init__(
        self, tau: NonNegativeFloat, label_smoothing: Smoothing, *, counts: Counts, weights: Weights | None
    ) -> None:
        super().__init__(label_smoothing, weights)
        self.register_buffer("shift", tau * torch.log(_frequencies(counts)).float(), persistent=False)

    def per_class(self, logits: Tensor) -> Tensor:
        """Return −log softmax(z + τ · log π) of each class, (B, K)."""
        return -functional.log_softmax(logits + self.shift, dim=1)


class LabelDistributionAwareMargin(ClassLoss):
    """LDAM: cross entropy with a margin Δ ∝ n^(−1/4) around each class (Cao et al. 2019, equation 12).

    The logit of the true class y has to exceed the others by Δ_y, which is larger for rarer classes. In the
    paper logits are s · cos, s = 30, of normalised features and class vectors, and the margin is that of the
    cosine: e^{s (cos_y − Δ_y)}. The classifier ``model.head=cosine`` multiplies by s itself, so its margin is
    s · Δ_y.

    Args:
        max_margin: Margin of the rarest class; 0.5 in the paper. 0 is cross entropy of scaled logits.
        scale: Factor of the logits; 1 for both classifiers, as the cosine one has its own.
        margin_scale: Factor s that the logits have already: that of the cosine classifier. None is 1: a
            linear classifier learns its own scale.
        label_smoothing: As in `ClassLoss`; 0 in the paper.
        counts: Images of each of the K classes in an epoch, after sampling.
        weights: As in `ClassLoss`.

    Raises:
        ConfigError: A class has no images.
    """

    uses_counts = True
    margins: Tensor

    def __init__(
        self,
        max_margin: NonNegativeFloat,
        scale: PositiveFloat,
        label_smoothing: Smoothing,
        margin_scale: PositiveFloat | None = None,
        *,
        counts: Counts,
        weights: Weights | None,
    ) -> None:
        super().__init__(label_smoothing, weights)
        self.scale = scale
        raw = _frequencies(counts) ** -0.25
        largest = max_margin * (margin_scale or 1.0)
        self.register_buffer("margins", (largest * raw / raw.max()).float(), persistent=False)

    def per_class(self, logits: Tensor) -> Tensor:
        """Return −log p of each class with its margin subtracted from its logit, (B, K)."""
        # [b, k] are the logits of image b if k is its class: z with Δ_k subtracted from z_k
        shifted = logits.unsqueeze(1) - torch.diag(self.margins)  # (B, K, K)
        log_p = functional.log_softmax(self.scale * shifted, dim=2)
        return -torch.diagonal(log_p, dim1=1, dim2=2)


def _frequencies(counts: Counts) -> Tensor:
    """Return the fraction of images in each class, (K,) in float64."""
    if empty := [name for name, count in counts.items() if not count]:
        raise ConfigError(
            f"no image of {', '.join(empty)} in the training set", where="balance.loss",
            remedy="leave the class out of data.classes, or use balance/loss=cross_entropy",
        )  # fmt: skip
    images = torch.tensor(list(counts.values()), dtype=torch.float64)
    return images / images.sum()
