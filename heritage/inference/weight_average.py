"""The weights of several runs averaged to one network (Wortsman et al., "Model soups", ICML 2022).

Weights can be averaged only where they are close to each other: runs of one architecture that started from
the same weights. Low-rank updates are merged into the weights first, since the mean of products is not the
product of means. Running statistics of batch normalisation are those of other activations after it, so they
are estimated again on training images, as in stochastic weight averaging (Izmailov et al. 2018, section 3.2);
statistics that are equal in all runs were frozen, and are kept.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from heritage.core.progress import Progress
from heritage.errors import ConfigError
from heritage.inference.checkpoint import TrainedClassifier, merged
from heritage.inference.test_set import open_test_set
from heritage.models.heads import NearestNeighbourHead
from heritage.models.normalize import NormalizedModel

_IMAGES = 5000  # for the statistics of batch normalisation
_REMEDY = "average their probabilities: heritage evaluate ckpt=[…], heritage predict ckpt=[…]"


def average_weights(members: Sequence[TrainedClassifier], device: torch.device) -> TrainedClassifier:
    """Return a network with the mean of the weights of several runs.

    Args:
        members: Networks of one architecture, from the same start, trained on one data set and split.
        device: Where the statistics of batch normalisation are estimated.

    Raises:
        ConfigError: There is one network only, they differ in what must be equal, or they classify by stored
            neighbours.
        HeritageError: The network has batch normalisation, and its data set is not available.
    """
    if len(members) < 2:
        raise ConfigError(
            "one network has no average",
            where="average=weights",
            remedy="name several runs: ckpt=[<run>,<run>]",
        )
    first = members[0]
    if any(isinstance(module, NearestNeighbourHead) for module in first.model.net.modules()):
        raise ConfigError(
            "the networks classify by stored neighbours, which have no mean",
            where=f"ckpt={first.file}",
            remedy=_REMEDY,
        )
    for other in members[1:]:
        if fault := _difference(first, other):
            raise ConfigError(
                f"{fault} differs from that of {first.file}: their weights cannot be averaged",
                where=f"ckpt={other.file}",
                remedy=_REMEDY,
            )
    members = [merged(member) for member in members]
    first = members[0]
    net = copy.deepcopy(first.model.net)
    states = [member.model.net.state_dict() for member in members]
    net.load_state_dict({name: _mean([state[name] for state in states]) for name in states[0]})
    averaged = dataclasses.replace(first, folder=None, model=NormalizedModel(net).eval())
    if norms := _trained_norms(net, states):
        _estimate_statistics(averaged, norms, device)
    return averaged


def _difference(first: TrainedClassifier, other: TrainedClassifier) -> str | None:
    """Return what of another network differs that must be equal; None if nothing does."""
    ours, theirs = first.config, other.config
    equal = {
        "its class order": other.model.order is None,
        "its network (model)": ours["model"] == theirs["model"],
        "its input (size, crop, interpolation)": _input(first) == _input(other),
        "its data set or split": first.fingerprint == other.fingerprint,
        # random initial weights are those of the seed
        "its start, the seed of random weights,": ours["model"].get("weights") not in (None, "none")
        or ours["seed"] == theirs["seed"],
    }
    return next((name for name, same in equal.items() if not same), None)


def _input(member: TrainedClassifier) -> tuple[object, ...]:
    return member.image_size, member.crop_pct, member.interpolation


def _mean(values: Sequence[Tensor]) -> Tensor:
    if not values[0].is_floating_point():
        return values[0]
    return torch.stack([value.double() for value in values]).mean(dim=0).to(values[0].dtype)


def _trained_norms(net: nn.Module, states: Sequence[Mapping[str, Tensor]]) -> list[Any]:
    """Return the batch normalisations whose running statistics differ between the runs."""

    def differ(name: str) -> bool:
        return any(not torch.equal(state[name], states[0][name]) for state in states[1:])

    return [
        module
        for name, module in net.named_modules()
        if isinstance(module, _BatchNorm)
        and module.running_mean is not None
        and (differ(f"{name}.running_mean") or differ(f"{name}.running_var"))
    ]


def _estimate_statistics(averaged: TrainedClassifier, norms: Sequence[Any], device: torch.device) -> None:
    """Estimate the statistics of batch normalisation on training images without augmentation."""
    data: Any = open_test_set(averaged, {}, "test").data
    model = averaged.model.to(device)
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum, norm.kept = None, norm.momentum  # None: the mean over batches
        norm.train()
    done, total = 0, min(_IMAGES, len(data.rows("train")))
    with Progress("statistics of batch normalisation", total) as progress, torch.inference_mode():
        for batch in data.train_dataloader():
            model(batch.images.to(device))
            done += len(batch.rows)
            progress.advance(min(len(batch.rows), total))
            if done >= total:
                break
    for norm in norms:
        norm.momentum = norm.kept
        del norm.kept
    model.cpu().eval()
