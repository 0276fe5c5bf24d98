"""The interface of every network of this package, timm's included.

* ``net(images)``: normalised float images (B, 3, S, S) to logits (B, K).
* `input_spec`: the input it expects.
* ``net.get_classifier()``, ``net.group_matcher(coarse)`` and, optionally, ``net.no_weight_decay()``: timm's
  interface, which `heritage.models.layers` uses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import nn

from heritage.errors import ConfigError

PRETRAINED, NONE = "pretrained", "none"
"""The two values of ``model.weights`` that are not a file."""

IMAGENET = "imagenet"
"""The name of ``pretrained`` in earlier versions, which remains valid."""

Rate = Annotated[float, Field(ge=0, lt=1)]
"""A rate of dropout or stochastic depth, below 1."""


@dataclass(frozen=True, slots=True)
class InputSpec:
    """The images a network expects.

    Attributes:
        image_size: Side in pixels, S.
        mean: Subtracted from each channel of an image in [0, 1].
        std: Divisor of each channel afterwards.
        interpolation: Interpolation of the network's training: ``bilinear`` or ``bicubic``.
        crop_pct: Fraction of the resized image's side in the centre crop of its evaluation.
    """

    image_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str
    crop_pct: float


def centred_input(image_size: int) -> InputSpec:
    """Return the input of this package's Vision Transformers: the whole image, scaled to [-1, 1]."""
    half = (0.5, 0.5, 0.5)
    return InputSpec(image_size, mean=half, std=half, interpolation="bicubic", crop_pct=1.0)


def set_input_spec(net: nn.Module, spec: InputSpec) -> None:
    """Set a network's input specification, the attribute ``input_spec``."""
    net.input_spec = spec  # type: ignore[assignment]  # stubs allow tensors and modules alone


def input_spec(net: nn.Module) -> InputSpec:
    """Return the input specification of a network.

    Raises:
        ConfigError: The network has none, as it was not built by `heritage.models`.
    """
    spec = getattr(net, "input_spec", None)
    if not isinstance(spec, InputSpec):
        raise ConfigError(
            f"{type(net).__name__} has no input specification",
            where="model",
            remedy="build it with heritage.models, or call heritage.models.network.set_input_spec",
        )
    return spec


def is_pretrained(weights: object) -> bool:
    """Return whether a value of ``model.weights`` names the pretrained weights of ``model.name``."""
    return weights in (PRETRAINED, IMAGENET)


def refuse_pretrained(weights: str, model: str) -> None:
    """Refuse ``weights=pretrained`` for a network without pretrained weights.

    Raises:
        ConfigError: ``weights`` is ``pretrained``.
    """
    if is_pretrained(weights):
        raise ConfigError(
            f"there are no pretrained weights for {model}",
            where="model.weights",
            remedy="model.weights=none trains it from scratch; model=vit_pretrained is a pretrained ViT",
        )


def parameter_count(net: nn.Module) -> int:
    """Return the number of parameters, frozen ones included."""
    return sum(parameter.numel() for parameter in net.parameters())
