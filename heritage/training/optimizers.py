"""Optimizers over a network's parameter groups; each is called as ``optimizer(net)``.

Norms, biases, positional embeddings and class tokens have no weight decay, and with ``layer_decay`` the
learning rate decreases from the classifier to the stem (`heritage.models.finetune.parameter_groups`).
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from heritage.core.types import NonNegativeFloat, PositiveFloat
from heritage.errors import ConfigError
from heritage.models.finetune import parameter_groups
from heritage.models.layers import classifier_names
from heritage.training.muon import Muon

Beta = Annotated[float, Field(ge=0, lt=1)]
Betas = Annotated[list[Beta], Field(min_length=2, max_length=2)]
LayerDecay = Annotated[float, Field(gt=0, le=1)]


def adam(
    net: nn.Module,
    *,
    lr: PositiveFloat,
    weight_decay: NonNegativeFloat,
    decoupled_weight_decay: bool,
    betas: Betas,
    eps: PositiveFloat,
    layer_decay: LayerDecay | None,
) -> torch.optim.Optimizer:
    """Adam (Kingma & Ba 2015), or AdamW (Loshchilov & Hutter 2019) with decoupled weight decay.

    Args:
        net: The network.
        lr: Learning rate.
        weight_decay: Weight decay of matrices and convolutions.
        decoupled_weight_decay: Decouple the decay from the gradient; otherwise it is an L2 penalty.
        betas: Decay rates of the first and second moment estimates.
        eps: Added to the denominator for numerical stability.
        layer_decay: Ratio of a layer's learning rate to that of the next layer; None uses one rate for all.
    """
    return torch.optim.Adam(
        parameter_groups(net, lr=lr, weight_decay=weight_decay, layer_decay=layer_decay),
        lr=lr,
        betas=(betas[0], betas[1]),
        eps=eps,
        decoupled_weight_decay=decoupled_weight_decay,
        fused=_fused(net),
    )


def sgd(
    net: nn.Module,
    *,
    lr: PositiveFloat,
    momentum: Beta,
    nesterov: bool,
    weight_decay: NonNegativeFloat,
    layer_decay: LayerDecay | None,
) -> torch.optim.Optimizer:
    """Stochastic gradient descent with plain or Nesterov momentum.

    Args:
        net: The network.
        lr: Learning rate.
        momentum: Momentum; 0 is none.
        nesterov: Use Nesterov momentum.
        weight_decay: L2 penalty of matrices and convolutions.
        layer_decay: Ratio of a layer's learning rate to that of the next layer; None uses one rate for all.

    Raises:
        ConfigError: ``nesterov`` without momentum.
    """
    if nesterov and not momentum:
        raise ConfigError(
            "Nesterov momentum needs a momentum above 0",
            where="optimizer.nesterov",
            remedy="set optimizer.momentum=0.9, or optimizer.nesterov=false",
        )
    groups = parameter_groups(net, lr=lr, weight_decay=weight_decay, layer_decay=layer_decay)
    return torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=nesterov, fused=_fused(net))


def muon(
    net: nn.Module,
    *,
    lr: PositiveFloat,
    momentum: Beta,
    weight_decay: NonNegativeFloat,
    betas: Betas,
    layer_decay: LayerDecay | None,
) -> torch.optim.Optimizer:
    """Muon (Jordan et al. 2024): update each matrix by the orthogonal matrix nearest to its momentum.

    Updates are scaled to the magnitude of AdamW's (Liu et al. 2025, "Muon is scalable for LLM training"), so
    AdamW's ``lr`` and ``weight_decay`` are a good start. Convolutions are treated as matrices (out,
    in·k·k). Vectors, positional embeddings and the classifier are updated by NAdamW (Dozat 2016: Adam with
    Nesterov momentum).

    Args:
        net: The network.
        lr: Learning rate.
        momentum: Momentum of Muon.
        weight_decay: Decoupled weight decay of matrices and convolutions.
        betas: Decay rates of NAdamW's moment estimates.
        layer_decay: Ratio of a layer's learning rate to that of the next layer; None uses one rate for all.
    """
    names = classifier_names(net)
    classifier = {id(parameter) for name, parameter in net.named_parameters() if name in names}
    groups = []
    for group in parameter_groups(net, lr=lr, weight_decay=weight_decay, layer_decay=layer_decay):
        vectors = group["name"].endswith("no_decay")
        for kind, fallback in (("muon", False), ("nadamw", True)):
            chosen = [p for p in group["params"] if (vectors or id(p) in classifier) == fallback]
            if chosen:
                name = f"{group['name']}_{kind}"
                groups.append({**group, "name": name, "params": chosen, "use_fallback": fallback})
    return Muon(groups, lr=lr, momentum=momentum, weight_decay=weight_decay, betas=(betas[0], betas[1]))


def _fused(net: nn.Module) -> bool:
    """Return whether fused kernels are available: on the CPU and on CUDA."""
    return all(parameter.device.type in ("cpu", "cuda") for parameter in net.parameters())
