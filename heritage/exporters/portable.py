"""A network that needs nothing of this package: pictures in, logits and calibrated probabilities out."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from heritage.core.version import __version__
from heritage.inference.checkpoint import NormalizedModel, TrainedClassifier
from heritage.prediction.decision_rule import DecisionRule

INPUT = "images"
OUTPUTS = ("logits", "probabilities")


class Portable(nn.Module):
    """Normalisation, network and calibration in one module.

    Args:
        model: uint8 images (B, S, S, 3) to logits (B, K).
        temperature: What logits are divided by before the softmax.
    """

    def __init__(self, model: NormalizedModel, temperature: float) -> None:
        super().__init__()
        # Exporters take weights in channels-last memory for parts of larger tensors.
        self.model = copy.deepcopy(model).to(memory_format=torch.contiguous_format)
        self.temperature = temperature

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and probabilities, both (B, K), of uint8 images (B, S, S, 3)."""
        logits: Tensor = self.model(images).float()
        return logits, (logits / self.temperature).softmax(dim=1)


def portable(trained: TrainedClassifier, decision_rule: DecisionRule) -> Portable:
    """Make a trained network portable, on the CPU."""
    return Portable(trained.model.cpu(), decision_rule.temperature).eval()


def description(
    trained: TrainedClassifier, decision_rule: DecisionRule, licence: str | None
) -> dict[str, Any]:
    """Return all that a stranger must know to ask the network, as plain data."""
    spec, size = trained.spec, trained.image_size
    return {
        "heritage": __version__,
        "classes": list(trained.classes),
        "licence": licence,
        "input": {
            "name": INPUT,
            "type": "uint8",
            "shape": ["batch", size, size, 3],
            "colour": "RGB (sRGB), EXIF orientation applied",
            "crop": f"the central {trained.crop_pct:g} of each side",
            "resize": f"to {size}×{size}, ignoring the aspect ratio; averaging areas where both sides "
            f"shrink to two thirds or less, else {trained.interpolation}",
            "normalise": "inside the network; mean and std are for networks loaded without it",
            "mean": list(spec.mean),
            "std": list(spec.std),
        },
        "outputs": {"logits": ["batch", "classes"], "probabilities": ["batch", "classes"]},
        "calibration": {
            "fitted": decision_rule.fitted,
            "temperature": decision_rule.temperature,
            "threshold": decision_rule.threshold,
            "meaning": "probabilities = softmax(logits / temperature); below the threshold: unsure",
        },
        "data_fingerprint": trained.fingerprint,
        "epoch": trained.epoch,
    }
