"""Optimisers over a network's parameter groups.

Norms, biases, positions and class tokens do not decay, and with ``layer_decay`` each layer's learning
rate is a factor smaller than that of the layer above (`heritage.models.finetune.parameter_groups`).
Every optimiser is called as ``optimizer(net)``.
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
    """Adam (Kingma & Ba 2015), or AdamW (Loshchilov & Hutter 2019) where the decay is decoupled.

    Args:
        net: The network.
        lr: The learning rate.
        weight_decay: How fast matrices and convolutions decay.
        decoupled_weight_decay: Weights decay by themselves; else as an L2 penalty within the gradient.
        betas: What the averages of the gradient and of its square keep of themselves at a step.
        eps: Added to the root of the latter.
        layer_decay: What a layer's rate is of that of the layer above; None is all.
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

    Raises:
        ConfigError: Nesterov's momentum is wanted, and there is none.
    """
    if nesterov and not momentum:
        raise ConfigError(
            "Nesterov's momentum is that of the optimiser, which has none",
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
    """Muon (Jordan et al. 2024): each matrix moves along the nearest orthogonal matrix to its momentum.

    Updates are scaled to the size that AdamW's have (Liu et al. 2025, "Muon is scalable for LLM training"),
    so ``lr`` and ``weight_decay`` are of AdamW's order. Convolutions are matrices of (out, in·k·k).
    Vectors, positions and the classifier are NAdamW's (Dozat 2016: Adam with Nesterov's momentum), with
    ``betas``.

    Args:
        net: The network.
        lr: The learning rate.
        momentum: What the average of the gradient keeps of itself at a step.
        weight_decay: How fast matrices and convolutions decay.
        betas: NAdamW's.
        layer_decay: What a layer's rate is of that of the layer above; None is all.
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
    """Whether one kernel can update all parameters: on the CPU and on CUDA it can, elsewhere not always."""
    return all(parameter.device.type in ("cpu", "cuda") for parameter in net.parameters())
