"""Saliency maps by five methods.

Papers
    [1] Selvaraju et al., "Grad-CAM", ICCV 2017.
    [2] `heritage.explanation.attention`: rollout and gradient-weighted attention.
    [3] Sundararajan, Taly, Yan, "Axiomatic Attribution for Deep Networks", ICML 2017: integrated gradients.
    [4] Zeiler, Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014: occlusion.

`heritage.explanation.faithfulness` tests the maps against random ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from heritage.errors import ConfigError
from heritage.explanation.attention import attention_map

Method = Literal["auto", "gradcam", "attention", "rollout", "integrated_gradients", "occlusion"]

_MIN_CELLS = 7  # per side of the feature map for Grad-CAM
_STEPS = 24  # of integrated gradients
_SMOOTHING = 32  # integrated gradients are averaged over windows of two 32nds of a side
_WINDOWS = 8  # per side, for occlusion
BATCH = 16
"""Images per batch: gradients of a large network need more than 100 MB per image."""


class NormalizedNetwork(Protocol):
    """A network with its normalisation, such as `heritage.models.normalize.NormalizedModel`."""

    @property
    def net(self) -> nn.Module:
        """Normalised images (B, 3, S, S) to logits (B, K)."""
        ...

    @property
    def normalize(self) -> Callable[[Tensor], Tensor]:
        """Uint8 images (B, S, S, 3) to normalised ones (B, 3, S, S)."""
        ...

    def __call__(self, images: Tensor) -> Tensor:
        """Return logits (B, K) of uint8 images (B, S, S, 3)."""
        ...


def saliency(model: NormalizedNetwork, images: Tensor, targets: Tensor, method: Method = "auto") -> Tensor:
    """Return the relevance of each pixel for a class.

    This also works inside `torch.inference_mode`; parameters get no gradients.

    Args:
        model: uint8 images to logits, in evaluation mode, on the images' device.
        images: uint8, (B, S, S, 3).
        targets: The class to explain for each image, (B,).
        method: ``auto`` takes Grad-CAM for convolutional networks, gradient-weighted attention for
            transformers, and integrated gradients for other networks.

    Returns:
        Maps (B, S, S) from 0 to 1 with a maximum of 1; all 0 if no pixel is relevant.

    Raises:
        ConfigError: The method does not support the network.
    """
    if method not in get_args(Method):
        raise ConfigError(
            f"no method '{method}'", where="method", remedy=f"use {', '.join(get_args(Method))}"
        )
    with torch.inference_mode(mode=False), torch.enable_grad():
        images, targets = images.clone(), targets.clone()
        chosen = method_for(model.net, images.shape[1]) if method == "auto" else method
        parts = zip(torch.split(images, BATCH), torch.split(targets, BATCH), strict=True)
        return torch.cat([_maps(model, some, to, _METHODS[chosen]) for some, to in parts])


def _maps(
    model: NormalizedNetwork,
    images: Tensor,
    targets: Tensor,
    method: Callable[[nn.Module, Tensor, Tensor], Tensor],
) -> Tensor:
    maps = method(model.net, model.normalize(images).detach(), targets).float()
    maps = functional.interpolate(
        maps[:, None], size=images.shape[1:3], mode="bilinear", align_corners=False
    )[:, 0].clamp(min=0)
    return (maps / maps.amax(dim=(1, 2), keepdim=True).clamp(min=1e-12)).detach()


def method_for(net: nn.Module, size: int) -> Literal["gradcam", "attention", "integrated_gradients"]:
    """Return the method that ``auto`` selects for a network with images of ``size`` pixels."""
    if _stage(net, size) is not None:
        return "gradcam"
    return "attention" if hasattr(net, "blocks") else "integrated_gradients"


def _stage(net: nn.Module, size: int) -> nn.Module | None:
    """Return the deepest stage with a sufficiently fine feature map; None for other architectures."""
    stages = getattr(net, "feature_info", None)
    if stages is None or hasattr(net, "patch_embed") or hasattr(net, "patch_encoder"):
        return None
    known = sorted(stages, key=lambda stage: int(stage["reduction"]))
    fine = [stage for stage in known if size // int(stage["reduction"]) >= _MIN_CELLS] or known[:1]
    deepest = int(fine[-1]["reduction"])
    return net.get_submodule([s for s in fine if int(s["reduction"]) == deepest][-1]["module"])


def _gradcam(net: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """Sum the channels of a feature map, weighted by their mean gradients, and keep positive values [1]."""
    stage = _stage(net, inputs.shape[-1])
    if stage is None:
        raise ConfigError(
            f"{type(net).__name__} has no feature maps",
            where="method=gradcam",
            remedy="use attention, rollout, integrated_gradients or occlusion",
        )
    kept: list[Tensor] = []
    hook = stage.register_forward_hook(lambda _module, _inputs, output: kept.append(output))
    try:
        # parameters may be frozen, so the gradient must start at the image
        chosen = net(inputs.requires_grad_(True)).gather(1, targets[:, None]).sum()
    finally:
        hook.remove()
    features = kept[-1]
    (gradient,) = torch.autograd.grad(chosen, features)
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    return (weights * features).sum(dim=1).clamp(min=0)


def _integrated_gradients(net: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """Integrate gradients from a grey image to this one, times their difference [3]."""
    total = torch.zeros_like(inputs)
    for step in range(_STEPS):
        point = (inputs * ((step + 0.5) / _STEPS)).detach().requires_grad_(True)
        chosen = net(point).gather(1, targets[:, None]).sum()
        total += torch.autograd.grad(chosen, point)[0]
    maps = (total * inputs / _STEPS).sum(dim=1).abs()
    # single pixels are noise: average over a window
    window = 2 * (maps.shape[-1] // _SMOOTHING) + 1
    padding = window // 2
    return functional.avg_pool2d(maps[:, None], window, 1, padding, count_include_pad=False)[:, 0]


def _occlusion(net: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """Mask one window after the other in grey; the relevance is the drop in the class's probability [4]."""
    size, cells = inputs.shape[-1], min(_WINDOWS, inputs.shape[-1])
    edges = [round(size * place / cells) for place in range(cells + 1)]
    maps = torch.zeros(len(inputs), cells, cells, device=inputs.device)
    with torch.no_grad():
        whole = _probability(net, inputs, targets)
        for row in range(cells):
            for column in range(cells):
                masked = inputs.clone()
                # windows overlap by half a window
                margin = size // cells // 2
                top, bottom = max(edges[row] - margin, 0), edges[row + 1] + margin
                left, right = max(edges[column] - margin, 0), edges[column + 1] + margin
                masked[:, :, top:bottom, left:right] = 0
                maps[:, row, column] = whole - _probability(net, masked, targets)
    return maps.clamp(min=0)


def _probability(net: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    return net(inputs).softmax(dim=1).gather(1, targets[:, None])[:, 0]  # type: ignore[no-any-return]


def _attention(net: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    return attention_map(net, inputs.requires_grad_(True), targets, weighted=True)


def _rollout(net: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    return attention_map(net, inputs.requires_grad_(True), targets, weighted=False)


_METHODS: dict[str, Callable[[nn.Module, Tensor, Tensor], Tensor]] = {
    "gradcam": _gradcam,
    "attention": _attention,
    "rollout": _rollout,
    "integrated_gradients": _integrated_gradients,
    "occlusion": _occlusion,
}
