"""From a checkpoint to a network that answers: all that later commands need is ``ckpt=…``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from heritage.data.augment import Interpolation
from heritage.models.checkpoint import read_checkpoint, rebuild_network
from heritage.models.network import InputSpec, input_spec
from heritage.models.normalize import Normalize
from heritage.runs.description import RunDescription, read_description
from heritage.training.precision import choose_precision


class NormalizedModel(nn.Module):
    """A network behind its normalisation: uint8 images (B, S, S, 3) to logits (B, K).

    Its state dict is that of the training module, so names in a checkpoint fit as they are.

    Args:
        net: The network.
        shift: What is added to the logits, (K,); None is nothing.
    """

    shift: Tensor | None

    def __init__(self, net: nn.Module, shift: Tensor | None = None) -> None:
        super().__init__()
        spec = input_spec(net)
        self.net = net
        self.normalize = Normalize(spec.mean, spec.std)
        self.register_buffer("shift", shift, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, K) of uint8 images (B, S, S, 3)."""
        logits = cast("Tensor", self.net(self.normalize(images)))
        return logits if self.shift is None else logits + self.shift


@dataclass(frozen=True)
class TrainedClassifier:
    """A trained classifier and what its checkpoint says of it.

    Attributes:
        file: The checkpoint.
        folder: The run folder it lies in; None for a checkpoint that was moved out of one.
        model: uint8 images (B, S, S, 3) to logits (B, K), in evaluation mode, on the CPU.
        classes: The class list, length K; a logit's place in it.
        fingerprint: Of the data set it was trained on.
        config: The run's resolved configuration.
        epoch: The epoch whose end the checkpoint holds.
    """

    file: Path
    folder: Path | None
    model: NormalizedModel
    classes: tuple[str, ...]
    fingerprint: str
    config: dict[str, Any]
    epoch: int

    @property
    def spec(self) -> InputSpec:
        """The input that the network was made for."""
        return input_spec(self.model.net)

    @property
    def image_size(self) -> int:
        """Pixels a side that the network sees."""
        return self.spec.image_size

    @property
    def crop_pct(self) -> float:
        """The central part of each side that evaluation kept."""
        return float(self.config["data"]["crop_pct"])

    @property
    def interpolation(self) -> Interpolation:
        """How pictures were resized."""
        return "bicubic" if self.spec.interpolation == "bicubic" else "bilinear"

    def precision(self, device: torch.device) -> str:
        """Return the number format that training would choose for this network on a device."""
        return choose_precision(self.config["trainer"]["precision"], self.model.net, device.type)


def load_checkpoint(ckpt: str | Path) -> TrainedClassifier:
    """Load a trained classifier.

    Loading runs no code that the file brings along, see `heritage.models.checkpoint`.

    Args:
        ckpt: A checkpoint of `heritage.train`, or a run folder, whose best one is meant.

    Raises:
        CheckpointError: No such file, damaged, not one of ours, or of a network that cannot be rebuilt.
    """
    checkpoint = read_checkpoint(ckpt)
    return TrainedClassifier(
        checkpoint.file,
        checkpoint.folder,
        NormalizedModel(rebuild_network(checkpoint)).eval(),
        checkpoint.classes,
        checkpoint.fingerprint,
        checkpoint.config,
        checkpoint.epoch,
    )


def describe_checkpoint(trained: TrainedClassifier) -> RunDescription:
    """Return how the network was made."""
    return read_description(trained.folder, trained.config)
