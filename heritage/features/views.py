"""Test-time augmentation, and a saliency map of the network's input as one of the image."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

Views = Literal["none", "flip", "flip_zoom"]
"""Test-time augmentation: the image alone, with its mirror image, or these two and both enlarged."""

_ZOOM = 0.85


def views(images: Tensor, tta: Views) -> list[Tensor]:
    """Return the views of uint8 images (B, S, S, 3) whose predictions are averaged."""
    if tta == "none":
        return [images]
    both = [images, images.flip(2)]
    return both if tta == "flip" else [*both, *(_enlarged(view) for view in both)]


def whole_image(
    strength: npt.NDArray[np.float32], shape: tuple[int, ...], crop_pct: float
) -> npt.NDArray[np.float32]:
    """Return a map (S, S) of the central crop as a map (H, W) of the image, 0 outside the crop."""
    height, width = shape
    rows, columns = round(height * crop_pct), round(width * crop_pct)
    top, left = (height - rows) // 2, (width - columns) // 2
    whole = np.zeros((height, width), dtype=np.float32)
    resized = cv2.resize(strength, (columns, rows), interpolation=cv2.INTER_LINEAR)
    whole[top : top + rows, left : left + columns] = resized
    return whole


def _enlarged(images: Tensor) -> Tensor:
    """Enlarge the central part of uint8 images (B, S, S, 3) to their full size."""
    side = images.shape[1]
    margin = round(side * (1 - _ZOOM) / 2)
    centre = images[:, margin : side - margin, margin : side - margin].permute(0, 3, 1, 2).float()
    larger = functional.interpolate(centre, size=(side, side), mode="bilinear", align_corners=False)
    return larger.round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
