"""Mixup, CutMix and random erasing of normalised batches, on the device."""

from __future__ import annotations

import random
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from timm.data.mixup import cutmix_bbox_and_lam, mixup_target
from timm.data.random_erasing import RandomErasing

from heritage.core.types import NonNegativeFloat, Probability


class Mixing:
    """Mixup (Zhang et al. 2018), CutMix (Yun et al. 2019) and random erasing (Zhong et al. 2020).

    Images are mixed with those of the same batch in reverse order, as timm does. Random numbers come
    from the generators that the classifier seeds for each step.

    Args:
        mixup_alpha: Parameter of the Beta distribution of mixup's mixing ratio; 0 disables mixup.
        cutmix_alpha: The same for CutMix; if both are enabled, each batch uses one of them.
        probability: Probability of mixing a batch.
        switch: Probability of CutMix instead of mixup, if both are enabled.
        erase: Probability of erasing a rectangle of an image.
    """

    def __init__(
        self,
        mixup_alpha: NonNegativeFloat,
        cutmix_alpha: NonNegativeFloat,
        probability: Probability,
        switch: Probability,
        erase: Annotated[float, Field(ge=0, le=1)],
    ) -> None:
        self.mixup_alpha = mixup_alpha
        self.cutmix_alpha = cutmix_alpha
        self.probability = probability if mixup_alpha or cutmix_alpha else 0.0
        self.switch = switch
        self.erase = erase

    def __call__(
        self, images: torch.Tensor, targets: torch.Tensor, classes: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Augment a batch.

        Args:
            images: Normalised images, (B, 3, S, S); may be modified in place.
            targets: Class positions, (B,).
            classes: Number of classes, K.

        Returns:
            Images (B, 3, S, S), and class probabilities (B, K), or ``targets`` for a batch that was not
            mixed.
        """
        if self.erase:
            images = RandomErasing(self.erase, mode="const", device=images.device)(images)
        if random.random() >= self.probability:
            return images, targets
        cut = bool(self.cutmix_alpha) and (not self.mixup_alpha or random.random() < self.switch)
        alpha = self.cutmix_alpha if cut else self.mixup_alpha
        ratio = float(np.random.beta(alpha, alpha))  # noqa: NPY002  the generator timm draws its boxes from
        partners = images.flip(0)
        if cut:
            (top, bottom, left, right), ratio = cutmix_bbox_and_lam(images.shape, ratio)
            images[:, :, top:bottom, left:right] = partners[:, :, top:bottom, left:right]
        else:
            images = images.lerp(partners, 1 - ratio)
        return images, mixup_target(targets, classes, ratio)


def no_mixing() -> None:
    """Do not mix."""
