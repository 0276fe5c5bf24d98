"""Initialise a classifier with the mean features of the classes, as LIFT does (Shi et al. 2024, section 4.2).

Training then starts from the nearest-mean classifier of the pretrained features instead of random weights.
The features are those of a store (`heritage.features`), which are computed once for all runs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from heritage.data import ArtefactDataModule
from heritage.errors import ConfigError
from heritage.features.compute import image_features
from heritage.metrics.calibration import cross_entropy
from heritage.models.heads import CosineHead
from heritage.models.normalize import NormalizedModel
from heritage.models.precision import choose_precision
from heritage.training.devices import device_type

_SCALES = np.logspace(-3, 3, 61)  # of the logits, over the mean squared distance of a class from the centre

Doubles = npt.NDArray[np.float64]


def initialise_classifier(
    net: nn.Module, data: ArtefactDataModule, *, places: Any, accelerator: str, precision: Any
) -> None:
    """Set a network's classifier to the class means of the training images' features.

    Args:
        net: The network, before adapters are added.
        data: The data set, with the input size of the network.
        places: Folders of feature stores.
        accelerator: Lightning's name of the device to compute on.
        precision: ``trainer.precision``.

    Raises:
        ConfigError: The classifier is neither a linear layer nor a cosine classifier.
    """
    network: Any = net
    head = network.get_classifier()
    if not isinstance(head, nn.Linear | CosineHead):
        raise ConfigError(
            f"the classifier of {type(net).__name__} is no linear layer",
            where="finetune.classifier_init=class_means",
            remedy="set it to null",
        )
    kind = device_type(accelerator)
    store = image_features(
        NormalizedModel(net).eval(), data, device=torch.device(kind),
        precision=choose_precision(precision, net, kind), places=places,
    )  # fmt: skip
    with torch.random.fork_rng(devices=()):  # later random numbers do not depend on what is stored already
        rows, features = store.of("train")
    net.to("cpu").train()
    values, targets = features.astype(np.float64), data.targets("train")[rows]
    with torch.no_grad():
        if isinstance(head, CosineHead):
            length = np.linalg.norm(values, axis=1, keepdims=True)
            means, _ = class_means(values / np.maximum(length, 1e-12), targets, len(data.classes))
            head.weight.copy_(torch.from_numpy(means))
            return
        weight, bias = nearest_mean(values, targets, len(data.classes))
        head.weight.copy_(torch.from_numpy(weight))
        if head.bias is not None:
            head.bias.copy_(torch.from_numpy(bias))


def class_means(features: Doubles, targets: npt.NDArray[np.int64], classes: int) -> tuple[Doubles, Doubles]:
    """Return the mean of each class, (K, D), and of these, (D,), which a class without images has.

    Args:
        features: (N, D).
        targets: Class positions, (N,).
        classes: K.
    """
    present = [k for k in range(classes) if (targets == k).any()]
    own = {k: features[targets == k].mean(axis=0) for k in present}
    centre: Doubles = np.mean(list(own.values()), axis=0)
    return np.stack([own.get(k, centre) for k in range(classes)]), centre


def nearest_mean(features: Doubles, targets: npt.NDArray[np.int64], classes: int) -> tuple[Doubles, Doubles]:
    """Return weight (K, D) and bias (K,) of a linear classifier that predicts the class of the nearest mean.

    The logits −t/2 · |x − μ_k|², without the part that all classes have, for the t with the lowest
    cross entropy on the features, where each class counts the same.

    Args:
        features: (N, D).
        targets: Class positions, (N,).
        classes: K.
    """
    means, centre = class_means(features, targets, classes)
    offsets = means - centre
    half = 0.5 * (offsets**2).sum(axis=1)
    scores = (features - centre) @ offsets.T - half
    shares = 1 / np.bincount(targets, minlength=classes)[targets]
    scales = _SCALES / max(2 * half.mean(), 1e-12)
    losses = [float(shares @ cross_entropy(scale * scores, targets)) for scale in scales]
    best = float(scales[int(np.argmin(losses))])
    return best * offsets, -best * (offsets @ centre + half)
