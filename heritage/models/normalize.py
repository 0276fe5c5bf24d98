"""Normalise uint8 batches on the device, and a network behind its normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from heritage.models.network import input_spec
from heritage.models.views import Views, pooled_logits, views


class Normalize(nn.Module):
    """Turn uint8 images (B, H, W, 3) into normalised float images (B, 3, H, W), channels last in memory.

    ``(x / 255 - mean) / std`` is computed as one multiplication and one addition, in place. NHWC bytes
    permuted to NCHW are in channels-last order already, so the conversion to float is the only copy.

    Args:
        mean: Subtracted from each channel, for images in [0, 1].
        std: Divisor of each channel afterwards.
        dtype: Dtype of the result, which is computed in float32.
    """

    scale: Tensor
    shift: Tensor

    def __init__(
        self, mean: Sequence[float], std: Sequence[float], dtype: torch.dtype = torch.float32
    ) -> None:
        super().__init__()
        centre, spread = (torch.tensor(v, dtype=torch.float64).view(1, -1, 1, 1) for v in (mean, std))
        self.register_buffer("scale", (1 / (255 * spread)).float(), persistent=False)
        self.register_buffer("shift", (-centre / spread).float(), persistent=False)
        self.dtype = dtype

    def forward(self, images: Tensor) -> Tensor:
        """Normalise a batch.

        Args:
            images: uint8, (B, H, W, 3).

        Returns:
            ``dtype``, (B, 3, H, W), in ``torch.channels_last`` memory.

        Raises:
            TypeError: The images are not uint8 (B, H, W, 3), for instance normalised already.
        """
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[-1] != self.scale.shape[1]:
            raise TypeError(f"expected uint8 images (B, H, W, 3), got {images.dtype} {tuple(images.shape)}")
        return images.permute(0, 3, 1, 2).float().mul_(self.scale).add_(self.shift).to(self.dtype)


class NormalizedModel(nn.Module):
    """A network behind its normalisation: uint8 images (B, S, S, 3) to logits (B, K).

    Its state dict is that of the training module, so names in a checkpoint fit as they are.

    Args:
        net: The network.
        shift: Added to the logits, (K,); None adds nothing.
        views: Test-time augmentation: probabilities are averaged over these views.
        order: The network's outputs in the order of the logits, (K,); None keeps theirs.
    """

    shift: Tensor | None
    order: Tensor | None

    def __init__(
        self,
        net: nn.Module,
        shift: Tensor | None = None,
        *,
        views: Views = "none",
        order: Tensor | None = None,
    ) -> None:
        super().__init__()
        spec = input_spec(net)
        self.net = net
        self.views = views
        self.normalize = Normalize(spec.mean, spec.std)
        self.register_buffer("shift", shift, persistent=False)
        self.register_buffer("order", order, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, K) of uint8 images (B, S, S, 3)."""
        logits = pooled_logits([self._logits(view) for view in views(images, self.views)])
        return logits if self.shift is None else logits + self.shift

    def _logits(self, images: Tensor) -> Tensor:
        logits = cast("Tensor", self.net(self.normalize(images)))
        return logits if self.order is None else logits[:, self.order]

    def replaced(
        self, *, shift: Tensor | None = None, views: Views | None = None, order: Tensor | None = None
    ) -> NormalizedModel:
        """Return the same network with another shift, views or order; None keeps the present ones."""
        return NormalizedModel(
            self.net,
            self.shift if shift is None else shift,
            views=self.views if views is None else views,
            order=self.order if order is None else order,
        ).eval()
