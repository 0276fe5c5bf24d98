"""The contract that every network of ours keeps, timm's and our own alike.

* ``net(images)``: normalised float images (B, 3, S, S) to logits (B, K).
* `input_spec`: the input it was made for.
* ``net.get_classifier()``, ``net.group_matcher(coarse)`` and, where some parameters must not decay,
  ``net.no_weight_decay()``: timm's names, which `heritage.models.layers` reads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import nn

from heritage.errors import ConfigError

IMAGENET, NONE = "imagenet", "none"
"""The two values of ``model.weights`` that are not a file."""

Rate = Annotated[float, Field(ge=0, lt=1)]
"""A rate of dropout or stochastic depth: 1 would leave nothing."""


@dataclass(frozen=True, slots=True)
class InputSpec:
    """The images a network expects.

    Attributes:
        image_size: Pixels a side, S.
        mean: Subtracted from each channel of an image in [0, 1].
        std: What the difference is divided by.
        interpolation: How the network's training resized images: ``bilinear`` or ``bicubic``.
        crop_pct: The part of the resized image's side that its evaluation kept, from the centre.
    """

    image_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str
    crop_pct: float


def centred_input(image_size: int) -> InputSpec:
    """Return the input of our own Vision Transformers: the whole image, scaled to [-1, 1]."""
    half = (0.5, 0.5, 0.5)
    return InputSpec(image_size, mean=half, std=half, interpolation="bicubic", crop_pct=1.0)


def set_input_spec(net: nn.Module, spec: InputSpec) -> None:
    """Give a network its input specification, as the attribute ``input_spec``."""
    net.input_spec = spec  # type: ignore[assignment]  # stubs allow tensors and modules alone


def input_spec(net: nn.Module) -> InputSpec:
    """Return the input that a network was made for.

    Raises:
        ConfigError: The network was not made by one of our builders.
    """
    spec = getattr(net, "input_spec", None)
    if not isinstance(spec, InputSpec):
        raise ConfigError(
            f"{type(net).__name__} does not say what input it expects",
            where="model",
            remedy="build it with heritage.models, or call set_input_spec",
        )
    return spec


def refuse_imagenet(weights: str, model: str) -> None:
    """Refuse ``weights=imagenet`` for a network that nobody has trained on ImageNet.

    Raises:
        ConfigError: ``weights`` is ``imagenet``.
    """
    if weights == IMAGENET:
        raise ConfigError(
            f"there are no ImageNet weights for {model}",
            where="model.weights",
            remedy="model.weights=none trains it from scratch; model=vit_pretrained is a pretrained ViT",
        )
