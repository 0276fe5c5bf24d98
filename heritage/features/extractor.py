"""The network up to its classifier."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from heritage.models.normalize import NormalizedModel


class FeatureExtractor(nn.Module):
    """The features of a network before its classifier: uint8 images (B, S, S, 3) to (B, D)."""

    def __init__(self, model: NormalizedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """Return the feature vectors of images."""
        net: Any = self.model.net
        features: Tensor = net.forward_head(
            net.forward_features(self.model.normalize(images)), pre_logits=True
        )
        return features.flatten(1)
