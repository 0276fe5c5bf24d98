"""The network up to its classifier: its features, and what identifies them."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from heritage.errors import ConfigError
from heritage.models.normalize import NormalizedModel
from heritage.models.views import Views, views

# Of modules: what does not change their output in evaluation.
_WITHOUT_EFFECT = {"training", "grad_checkpointing", "fused_attn", "num_classes", "inplace", "momentum"}


class FeatureExtractor(nn.Module):
    """The features of a network before its classifier: uint8 images (B, S, S, 3) to (B, D).

    With several views of an image, the features are their mean: of a linear classifier, their logits are the
    mean of the views' logits.

    Args:
        model: The network.
        tta: The views of an image.

    Raises:
        ConfigError: The network has no features before its classifier.
    """

    def __init__(self, model: NormalizedModel, tta: Views = "none") -> None:
        super().__init__()
        require_features(model.net)
        self.model = model
        self.tta: Views = tta

    def forward(self, images: Tensor) -> Tensor:
        """Return the feature vectors of images."""
        seen = [self._features(view).float() for view in views(images, self.tta)]
        return seen[0] if len(seen) == 1 else torch.stack(seen).mean(dim=0)

    def _features(self, images: Tensor) -> Tensor:
        net: Any = self.model.net
        features: Tensor = net.forward_head(
            net.forward_features(self.model.normalize(images)), pre_logits=True
        )
        return features.flatten(1)


def require_features(net: nn.Module) -> None:
    """Check that a network has features before its classifier.

    Raises:
        ConfigError: It lacks timm's methods ``forward_features`` and ``forward_head``.
    """
    missing = [
        name for name in ("forward_features", "forward_head", "get_classifier") if not hasattr(net, name)
    ]
    if missing:
        raise ConfigError(
            f"{type(net).__name__} has no features before its classifier (no {missing[0]})",
            where="model",
            remedy="choose a network with timm's forward_features and forward_head(pre_logits=True)",
        )


def feature_width(extractor: FeatureExtractor, image_size: int) -> int:
    """Return the length D of a feature vector, from one pass with a blank image.

    Args:
        extractor: The network, in evaluation mode.
        image_size: Pixels per side.

    Raises:
        ConfigError: Its ``forward_head`` has no ``pre_logits``, or the features are no vector per image.
    """
    device = next((value.device for value in extractor.model.net.parameters()), torch.device("cpu"))
    blank = torch.zeros(1, image_size, image_size, 3, dtype=torch.uint8, device=device)
    try:
        with torch.inference_mode():
            shape = tuple(extractor(blank).shape)
    except (TypeError, NotImplementedError, AttributeError) as error:
        raise ConfigError(
            f"{type(extractor.model.net).__name__} has no features before its classifier: its forward_head "
            "has no argument pre_logits",
            where="model",
            remedy="choose another network",
        ) from error
    return int(shape[1])


def architecture(net: nn.Module) -> str:
    """Return timm's name of a network's architecture; the name of its class for other networks."""
    config: Any = getattr(net, "pretrained_cfg", None)
    name = config.get("architecture") if isinstance(config, dict) else None
    return str(name or type(net).__name__.lower())


def backbone_digest(net: nn.Module) -> str:
    """Return the SHA-256 of everything before the classifier: structure, parameters and buffers.

    Networks that differ in their classifier alone have the same digest, and therefore the same features.
    Dropout and stochastic depth, which do nothing in evaluation, do not count.
    """
    digest = hashlib.sha256()
    heads = _classifier_names(net)
    for name, module in net.named_modules():
        if not _is_in(name, heads) and not _passes_through(module):
            digest.update(f"{name} {_structure(module)}\n".encode())
    for name, value in sorted(net.state_dict().items()):
        if _is_in(name, heads) or name.endswith("num_batches_tracked"):
            continue
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(_bytes(value).data)
    return digest.hexdigest()


def _structure(module: nn.Module) -> str:
    """Return a module's class and settings; of those without submodules, as torch prints them."""
    printed = type(module).__name__ if any(True for _ in module.children()) else repr(module)
    settings = {
        name: value
        for name, value in sorted(vars(module).items())
        if isinstance(value, bool | int | float | str)
        and not name.startswith("_")
        and name not in _WITHOUT_EFFECT
        and "drop" not in name
    }
    return f"{printed} {settings}"


def _passes_through(module: nn.Module) -> bool:
    """Return whether a module returns its input in evaluation: an identity, dropout, stochastic depth."""
    return isinstance(module, nn.Identity) or "drop" in type(module).__name__.lower()


def _classifier_names(net: nn.Module) -> list[str]:
    network: Any = net
    classifier = network.get_classifier() if hasattr(net, "get_classifier") else None
    parts = classifier if isinstance(classifier, list | tuple) else [classifier]
    return [name for name, module in net.named_modules() if name and any(module is part for part in parts)]


def _is_in(name: str, modules: list[str]) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def _bytes(value: Tensor) -> npt.NDArray[np.uint8]:
    flat: npt.NDArray[np.uint8] = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return flat
