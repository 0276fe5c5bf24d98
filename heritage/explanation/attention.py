"""Attention maps of transformers: rollout, and attention weighted by its gradient.

Networks call torch's fused attention kernel, which does not return its weights. `AttentionRecorder` replaces
the call while a map is computed, so our ViTs and timm's need no change.

Papers
    [1] Abnar, Zuidema, "Quantifying Attention Flow in Transformers", ACL 2020: rollout.
    [2] Chefer, Gur, Wolf, "Generic Attention-model Explainability", ICCV 2021: gradient-weighted, equations
        5 and 6.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from heritage.errors import ConfigError


class AttentionRecorder(TorchFunctionMode):
    """Computes attention without the fused kernel and records its weights, each (B, H, N, N)."""

    def __init__(self) -> None:
        super().__init__()
        self.weights: list[Tensor] = []

    def __torch_function__(
        self,
        func: Any,
        types: Sequence[Any],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Replace torch's fused attention; other functions are called unchanged."""
        if func is not functional.scaled_dot_product_attention:
            return func(*args, **(kwargs or {}))
        weights, output = _attend(*args, **(kwargs or {}))
        self.weights.append(weights)
        return output


def _attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Return attention weights (B, H, N, N) and the output (B, H, N, D) of torch's fused attention.

    Dropout and causal masks are not supported: networks are in evaluation mode and attend to all patches.
    """
    del dropout_p, is_causal
    scores = query @ key.transpose(-2, -1) * (query.shape[-1] ** -0.5 if scale is None else scale)
    if attn_mask is not None:  # relative positions, in timm's BEiT and EVA
        is_mask = attn_mask.dtype == torch.bool
        scores = scores.masked_fill(~attn_mask, -math.inf) if is_mask else scores + attn_mask
    weights = scores.softmax(dim=-1)
    return weights, weights @ value


def attention_map(net: nn.Module, images: Tensor, targets: Tensor, *, weighted: bool) -> Tensor:
    """Return the relevance of each patch for a class, (B, side, side).

    Args:
        net: A transformer with ``forward_features``, ``forward_head`` and ``num_prefix_tokens``.
        images: Normalised, (B, 3, S, S).
        targets: The class to explain for each image, (B,).
        weighted: Weight attention by the gradient of the class [2]; otherwise rollout [1].

    Raises:
        ConfigError: The network has no global attention over patches.
    """
    with AttentionRecorder() as recorder:
        features: Tensor = net.forward_features(images)  # type: ignore[operator]
    prefix = int(getattr(net, "num_prefix_tokens", 0) or 0)
    tokens = features.shape[1] if features.ndim == 3 else 0
    side = math.isqrt(max(tokens - prefix, 0))
    layers = [weights for weights in recorder.weights if weights.shape[-1] == weights.shape[-2] == tokens]
    if features.ndim != 3 or not layers or side**2 + prefix != tokens:
        raise ConfigError(
            f"{type(net).__name__} has no attention between all patches",
            where="method",
            remedy="use gradcam, integrated_gradients or occlusion",
        )
    logits: Tensor = net.forward_head(features)  # type: ignore[operator]
    chosen = logits.gather(1, targets[:, None]).sum()
    *gradients, gradient_of_features = torch.autograd.grad(chosen, [*layers, features])
    flow = torch.eye(tokens, device=images.device).expand(len(images), -1, -1)
    for weights, gradient in zip(layers, gradients, strict=True):
        if weighted:
            step = (weights * gradient).clamp(min=0).mean(dim=1)
            flow = flow + step @ flow
        else:
            step = weights.mean(dim=1) / 2 + torch.eye(tokens, device=images.device) / 2
            flow = step @ flow
    if weighted:
        flow = flow - torch.eye(tokens, device=images.device)
    relevance = (_head_weights(net, features, gradient_of_features)[:, None] @ flow)[:, 0, prefix:]
    return relevance.reshape(len(images), side, side).detach()


def _head_weights(net: nn.Module, features: Tensor, gradient: Tensor) -> Tensor:
    """Return the weight of each token in the head, (B, N).

    A head with a class token uses it alone; for other heads it is the positive part of features times
    gradient.
    """
    pool = getattr(net, "pool", None) or getattr(net, "global_pool", None)
    if pool == "token":
        return functional.one_hot(
            torch.zeros(len(features), dtype=torch.int64, device=features.device), features.shape[1]
        ).to(features.dtype)
    weights = (features * gradient).sum(dim=-1).clamp(min=0)
    any_positive = weights.sum(dim=1, keepdim=True) > 0
    return torch.where(any_positive, weights, torch.ones_like(weights)).detach()
