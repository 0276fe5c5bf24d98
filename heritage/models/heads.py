"""Classifiers of a network: the last step from its features (B, D) to logits (B, K).

    linear   W x + b, as timm and this package build it; trained, or fitted by a probe
    cosine   scale · cos(x − mean, w_k): normalised features and class vectors (Gidaris & Komodakis 2018; the
             prototypes of few-shot learning, the classifier of LDAM and of ArcFace)
    knn      a vote of the most similar stored features (Wu et al. 2018, "non-parametric instance
             discrimination"; the k-NN evaluation of DINO, Caron et al. 2021)

``model.head`` of a configuration names one of them; null is ``linear``. `attach_head` puts it where
``net.get_classifier()`` was, in any network whose classifier is a linear layer, so everything before it, and
``forward_head(…, pre_logits=True)``, remain as they are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from heritage.config.network_parts import COSINE_SCALE
from heritage.errors import ConfigError

LINEAR, COSINE, KNN = "linear", "cosine", "knn"

DEFAULT_SCALE = COSINE_SCALE

_OWN_ENTRIES = ("scale", "features")  # a linear layer has no tensors of these names


def unit(x: Tensor) -> Tensor:
    """Return vectors (…, D) of length 1."""
    return functional.normalize(x, dim=-1)


def full_precision(x: Tensor) -> contextlib.AbstractContextManager[object]:
    """Return a context without autocast: in bfloat16 similarities are rounded to 0.004."""
    if torch.is_autocast_enabled(x.device.type):
        return torch.autocast(x.device.type, enabled=False)
    return contextlib.nullcontext()  # exporters do not have to trace a context


class CosineHead(nn.Module):
    """Logits scale · cos(x − mean, w_k), in [-scale, scale].

    Args:
        in_features: Width of the features, D.
        out_features: Classes, K.
        scale: Factor of the cosines; stored with the weights and not trained.

    Attributes:
        weight: Class vectors (K, D); only their directions matter.
        mean: Subtracted from the features, (D,); zeros unless a probe sets it. Not trained.
    """

    scale: Tensor
    mean: Tensor

    def __init__(self, in_features: int, out_features: int, scale: float = DEFAULT_SCALE) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        self.register_buffer("scale", torch.tensor(float(scale)))
        self.register_buffer("mean", torch.zeros(in_features))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw class vectors of random directions."""
        nn.init.normal_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (…, K) of features (…, D), in float32."""
        with full_precision(x):
            vectors = functional.normalize(self.weight, dim=-1)
            logits: Tensor = self.scale * functional.linear(unit(x.float() - self.mean), vectors)
        return logits

    def fault(self) -> str | None:
        """Return what is wrong with the loaded values; None if they can be used."""
        return None if float(self.scale) > 0 else "the scale of its cosine classifier is not positive"


class NearestNeighbourHead(nn.Module):
    """A vote of the nearest stored features by cosine similarity.

    The vote of class k is v_k = w_k · Σ exp((s_i − s_1) / T) over the neighbours of class k, with s_i their
    similarities. The logits are log(v_k / Σ v + ε): softmax gives the shares of the vote, and at least
    about ε.

    Args:
        in_features: Width of the features, D.
        out_features: Classes, K.
        stored: Stored features, N.
        neighbours: Neighbours that vote.
        temperature: T; 0.07 in the papers.

    Attributes:
        mean: Subtracted from features before they are scaled to length 1, (D,).
        features: Stored features (N, D) of length 1, in float16.
        targets: Their classes (N,).
        class_weights: Factors of the classes' votes (K,).
    """

    mean: Tensor
    features: Tensor
    targets: Tensor
    class_weights: Tensor
    neighbours: Tensor
    temperature: Tensor

    FLOOR = 1e-6

    def __init__(
        self,
        in_features: int,
        out_features: int,
        stored: int = 1,
        neighbours: int = 1,
        temperature: float = 0.07,
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.register_buffer("mean", torch.zeros(in_features))
        self.register_buffer("features", torch.zeros(stored, in_features, dtype=torch.float16))
        self.register_buffer("targets", torch.zeros(stored, dtype=torch.int64))
        self.register_buffer("class_weights", torch.ones(out_features))
        self.register_buffer("neighbours", torch.tensor(neighbours))
        self.register_buffer("temperature", torch.tensor(float(temperature)))
        self.count = neighbours  # an exported program needs a number, not a tensor

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (B, K) of features (B, D), in float32."""
        with full_precision(x):
            similarity = functional.linear(unit(x.float() - self.mean), self.features.float())
        nearest, rows = similarity.topk(self.count, dim=-1)  # (B, k), the most similar first
        strength = torch.exp((nearest - nearest[:, :1]) / self.temperature)
        classes = torch.arange(self.out_features, device=x.device)
        member = (self.targets[rows].unsqueeze(-1) == classes).to(strength.dtype)  # (B, k, K)
        votes = (strength.unsqueeze(-1) * member).sum(dim=1) * self.class_weights
        return torch.log(votes / votes.sum(dim=1, keepdim=True) + self.FLOOR)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self.count = int(self.neighbours)

    def fault(self) -> str | None:
        """Return what is wrong with the loaded values; None if they can be used."""
        if not 1 <= int(self.neighbours) <= len(self.features):
            return f"{len(self.features)} stored features have no {int(self.neighbours)} neighbours"
        if not bool(((self.targets >= 0) & (self.targets < self.out_features)).all()):
            return "its stored features are of classes that it does not have"
        if not (float(self.temperature) > 0 and bool((self.class_weights > 0).all())):
            return "the temperature and weights of its stored features are not positive"
        return None


def classifier_path(net: nn.Module, head: str) -> str:
    """Return the name of a network's classifier, a linear layer that another head can replace.

    Args:
        net: A network of `heritage.models`.
        head: The head, for the message.

    Raises:
        ConfigError: The classifier is not one linear layer.
    """
    network: Any = net
    classifier = network.get_classifier()
    path: str | None = next((name for name, module in net.named_modules() if module is classifier), None)
    if path is None or not isinstance(classifier, nn.Linear):
        kind = "several layers" if isinstance(classifier, tuple) else f"a {type(classifier).__name__}"
        raise ConfigError(
            f"the classifier of {type(net).__name__} is {kind}, which no other head can replace",
            where=f"model.head={head}",
            remedy="use model.head=linear, or another network",
        )
    return path


def attach_head(net: nn.Module, head: str | None, stored: Mapping[str, Tensor] | None = None) -> nn.Module:
    """Replace a network's linear classifier by another head of the same size, and return the network.

    Args:
        net: A network of `heritage.models`; it is changed.
        head: ``linear`` (or None), which changes nothing, ``cosine`` or ``knn``.
        stored: Weights that will be loaded, by their names in the network; they determine the number of
            features that ``knn`` stores.

    Raises:
        ConfigError: The network's classifier is not one linear layer.
        ValueError: ``stored`` has no features for the head.
    """
    if head in (None, LINEAR):
        return net
    path = classifier_path(net, str(head))
    linear: Any = net.get_submodule(path)
    if head == COSINE:
        net.set_submodule(path, CosineHead(linear.in_features, linear.out_features))
        return net
    features = (stored or {}).get(f"{path}.features")
    if features is None or features.ndim != 2:
        raise ValueError("there are no stored features for its classifier")
    net.set_submodule(path, NearestNeighbourHead(linear.in_features, linear.out_features, len(features)))
    return net


def head_fault(net: nn.Module) -> str | None:
    """Return what is wrong with the loaded values of a network's head; None if they can be used."""
    network: Any = net
    head = network.get_classifier()
    return head.fault() if isinstance(head, CosineHead | NearestNeighbourHead) else None


def has_linear_head(net: nn.Module) -> bool:
    """Return whether a network has the classifier that its builder made."""
    network: Any = net
    return not isinstance(network.get_classifier(), CosineHead | NearestNeighbourHead)


def without_other_head(state: Mapping[str, Tensor], classifiers: Any) -> dict[str, Tensor]:
    """Return weights without those of a classifier that is not linear, as initial weights of a new network.

    Args:
        state: Weights by name.
        classifiers: Name of the classifier's module, or names of several.
    """
    names = [classifiers] if isinstance(classifiers, str) else list(classifiers or [])
    others = [name for name in names if any(f"{name}.{entry}" in state for entry in _OWN_ENTRIES)]
    prefixes = tuple(f"{name}." for name in others)
    return {name: value for name, value in state.items() if not (prefixes and name.startswith(prefixes))}
