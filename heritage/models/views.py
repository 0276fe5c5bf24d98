"""Test-time augmentation: views of an image whose probabilities are averaged.

Views are made of the network's input, uint8 images (B, S, S, 3), so they are the same for every command.
Crops are enlarged to the input's size. Probabilities are averaged, not logits, and their logarithm takes the
place of the logits: what follows (temperature, another prior) is applied to the average and fitted for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from heritage.errors import ConfigError

Views = Literal["none", "flip", "flip_zoom", "five_crop", "ten_crop", "multi_scale"]
"""Test-time augmentation.

* ``none``: the image alone.
* ``flip``: the image and its mirror image.
* ``flip_zoom``: these two and both enlarged to the central 85 %.
* ``five_crop``: the four corners and the centre, each 87.5 % of the side (Krizhevsky et al. 2012).
* ``ten_crop``: these five and their mirror images.
* ``multi_scale``: the image and its mirror image at 0.8, 1 and 1.25 times the input size.
"""

VIEWS: tuple[Views, ...] = get_args(Views)
COUNTS: dict[Views, int] = {
    "none": 1, "flip": 2, "flip_zoom": 4, "five_crop": 5, "ten_crop": 10, "multi_scale": 6
}  # fmt: skip
"""Number of views: the factor of the time."""

_ZOOM = 0.85
_CROP = 0.875
_SCALES = (0.8, 1.0, 1.25)

# What networks raise for an input of another size than theirs.
_MISFIT = (AssertionError, RuntimeError, ValueError, TypeError, IndexError)


def views(images: Tensor, tta: Views) -> list[Tensor]:
    """Return the views of images.

    Args:
        images: uint8, (B, S, S, 3).
        tta: The test-time augmentation.

    Returns:
        uint8 images (B, S', S', 3) for each view; S' differs from S for ``multi_scale`` only.
    """
    if tta == "none":
        return [images]
    if tta in ("five_crop", "ten_crop"):
        chosen = _five_crops(images)
    elif tta == "multi_scale":
        side = images.shape[1]
        chosen = [_resized(images, round(side * scale)) for scale in _SCALES]
    else:
        chosen = [images, _enlarged(images)] if tta == "flip_zoom" else [images]
    return chosen if tta == "five_crop" else [*chosen, *(view.flip(2) for view in chosen)]


def pooled_logits(logits: Sequence[Tensor]) -> Tensor:
    """Return the logarithm of the mean of probabilities, (B, K), of the logits (B, K) of several views."""
    if len(logits) == 1:
        return logits[0]
    logs = torch.stack([one.float().log_softmax(dim=1) for one in logits])
    return logs.logsumexp(dim=0) - float(np.log(len(logits)))


def require_views(model: nn.Module, tta: Views, image_size: int) -> None:
    """Check that a network takes all views, by one blank image of each other size.

    Args:
        model: uint8 images (B, S, S, 3) to logits (B, K), in evaluation mode.
        tta: The test-time augmentation.
        image_size: S in pixels.

    Raises:
        ConfigError: It does not.
    """
    if tta not in VIEWS:
        raise ConfigError("no such choice", where=f"tta={tta}", remedy=f"use one of {', '.join(VIEWS)}")
    device = next((one.device for one in model.parameters()), torch.device("cpu"))
    blank = torch.zeros(1, image_size, image_size, 3, dtype=torch.uint8, device=device)
    for view in views(blank, tta):
        if view.shape == blank.shape:
            continue
        try:
            with torch.inference_mode():
                model(view)
        except _MISFIT as error:
            raise ConfigError(
                f"the network takes images of {image_size} px only, not of {view.shape[1]} px",
                where=f"tta={tta}",
                remedy="use tta=ten_crop or tta=flip_zoom",
            ) from error


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


def _five_crops(images: Tensor) -> list[Tensor]:
    """Return the centre and the four corners, each enlarged to the size of the images."""
    side = images.shape[1]
    size = round(side * _CROP)
    end, middle = side - size, (side - size) // 2
    places = ((middle, middle), (0, 0), (0, end), (end, 0), (end, end))
    return [_resized(images[:, top : top + size, left : left + size], side) for top, left in places]


def _enlarged(images: Tensor) -> Tensor:
    """Enlarge the central part of uint8 images (B, S, S, 3) to their full size."""
    side = images.shape[1]
    margin = round(side * (1 - _ZOOM) / 2)
    return _resized(images[:, margin : side - margin, margin : side - margin], side)


def _resized(images: Tensor, side: int) -> Tensor:
    """Resize uint8 images (B, H, W, 3) to a side length, smoothed where they shrink."""
    if images.shape[1] == side:
        return images
    shrinks = side < images.shape[1]
    options: dict[str, Any] = {"mode": "bilinear", "align_corners": False, "antialias": shrinks}
    resized = functional.interpolate(images.permute(0, 3, 1, 2).float(), size=(side, side), **options)
    return resized.round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
