"""A network's parameters in order, from the image to the classifier.

There are two units; in both, the classifier is the last one:

* a *block* is a group of the network's ``group_matcher``: a residual block, a transformer block, the stem;
* a *layer* is a module with parameters: a convolution, a norm, a linear layer. ResNet-50 has 106 of them
before its
  classifier, of which Lecoutre et al. (2017) retrain "about 20".
"""

from __future__ import annotations

from fnmatch import fnmatch
from typing import Any

from timm.models import group_parameters
from torch import nn


def classifier_names(net: nn.Module) -> frozenset[str]:
    """Return the names of the classifier's parameters."""
    network: Any = net
    classifiers = network.get_classifier()
    modules = classifiers if isinstance(classifiers, tuple) else (classifiers,)
    own = {id(parameter) for module in modules for parameter in module.parameters()}
    return frozenset(name for name, parameter in net.named_parameters() if id(parameter) in own)


def blocks(net: nn.Module) -> list[list[str]]:
    """Return the names of each block's parameters; the classifier is the last.

    timm puts parameters that its patterns do not match, such as a norm between the last block and the
    classifier, into the classifier's group. Here they belong to the last block: they are pretrained, the
    classifier is not. In the few networks of timm without patterns each layer is a block.
    """
    network: Any = net
    head = classifier_names(net)
    if not hasattr(net, "group_matcher"):
        return [*_by_owner(net, {name for name, _ in net.named_parameters()} - head), sorted(head)]
    grouped: dict[int, list[str]] = group_parameters(net, network.group_matcher(coarse=False))
    *body, last = (names for _, names in sorted(grouped.items()))
    body[-1].extend(name for name in last if name not in head)
    return [*body, [name for name in last if name in head]]


def layers(net: nn.Module) -> list[list[str]]:
    """Return the names of each layer's parameters, in the order of the blocks; the classifier is the last."""
    *body, head = blocks(net)
    return [*(layer for block in body for layer in _by_owner(net, set(block))), head]


def _by_owner(net: nn.Module, names: set[str]) -> list[list[str]]:
    """Group parameter names by module, in the order in which the network defines them."""
    owners: dict[str, list[str]] = {}
    for name, _ in net.named_parameters():
        if name in names:
            owners.setdefault(name.rpartition(".")[0], []).append(name)
    return list(owners.values())


def without_weight_decay(net: nn.Module) -> frozenset[str]:
    """Return the names of parameters without weight decay.

    They are all vectors and scalars (biases, norms, layer scales) and those of the network's
    ``no_weight_decay`` (positional embeddings, class token).
    """
    network: Any = net
    patterns: set[str] = network.no_weight_decay() if hasattr(net, "no_weight_decay") else set()
    return frozenset(
        name
        for name, parameter in net.named_parameters()
        if parameter.ndim <= 1 or any(fnmatch(name, pattern) for pattern in patterns)
    )
