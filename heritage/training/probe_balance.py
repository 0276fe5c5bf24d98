"""Balancing of a probe: the axes of ``balance`` as weights of images and a shift of the logits.

A probe is fitted to all images of a fold at once, so a sampling counts by what it does on average:

    none         every image has weight 1
    undersample  the images that are drawn have weight 1, the others 0; drawn once, with the run's seed
    oversample   an image of class c has weight (images of c after sampling) / (images of c)
    sampler      an image of class c has weight n_c^(−power), so power 1 is the same as balance=weights

Class weights (inverse, effective_number, by_hand) multiply these; balanced_softmax and logit_adjusted shift
the logits of logistic regression while it is fitted, and the votes of kNN. All counts are those of the images
that a head is fitted to: of each fold in cross-validation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from hydra.utils import instantiate
from omegaconf import DictConfig

from heritage.data.sampling import InstanceBalanced, Oversample, Sampling, Undersample, Weighted
from heritage.errors import ConfigError
from heritage.probes.task import Balance, Classes, Doubles
from heritage.training.losses import ClassLoss, CrossEntropy, LogitAdjusted

_FULL = (
    "balance=none, weights, effective_number, oversample, undersample, sampler, logit_adjusted and "
    "balanced_softmax suit it"
)
_SUITABLE = {
    "logistic": _FULL,
    "knn": _FULL,
    "ridge": "class weights and samplings suit it, or finetune.head=logistic",
    "prototypes": "balance=none and undersample suit it, or finetune.head=logistic",
}


class ProbeBalance:
    """The balance of any part of the training split.

    Args:
        balance: The group ``balance`` of the configuration.
        head: The head of the probe.
        classes: Class names, K.
        seed: The run's seed.

    Raises:
        ConfigError: The head has no use for an axis.
    """

    def __init__(self, balance: DictConfig, head: str, classes: Sequence[str], seed: int) -> None:
        self._classes = tuple(classes)
        self._seed = seed
        self._sampling: Sampling = _make(balance.sampling)
        self._weighting: Callable[..., Any] = _partial(balance.weighting)
        self._loss: Callable[..., Any] = _partial(balance.loss)
        counts = dict.fromkeys(classes, 1)
        loss = self._loss(counts=counts, weights=None)
        weights = self._weighting(counts=counts)
        faults = {
            "balance/sampling": not isinstance(
                self._sampling, InstanceBalanced | Oversample | Undersample | Weighted
            ),
            "balance/loss": not isinstance(loss, CrossEntropy | LogitAdjusted),
            "balance/schedule": _make(balance.schedule) is not None,
        }
        if head in ("ridge", "prototypes"):
            faults["balance/loss"] |= isinstance(loss, LogitAdjusted)
        if head == "prototypes":
            faults["balance/weighting"] = weights is not None
            faults["balance/sampling"] |= not isinstance(self._sampling, InstanceBalanced | Undersample)
        if axes := [axis for axis, wrong in faults.items() if wrong]:
            raise ConfigError(
                f"{', '.join(axes)} cannot balance a probe of this head",
                where=f"finetune.head={head}",
                remedy=_SUITABLE[head],
            )

    def of(self, targets: Classes) -> Balance:
        """Return the balance of images of these classes, (N,)."""
        numbers = np.bincount(targets, minlength=len(self._classes))
        present = np.flatnonzero(numbers)
        weights = self._sampled(np.searchsorted(present, targets), [self._classes[k] for k in present])
        sums = np.bincount(targets, weights, minlength=len(numbers))
        sums *= len(targets) / sums.sum()
        counts = {
            name: max(1, round(count)) for name, count in zip(self._classes, sums.tolist(), strict=True)
        }
        class_weights = self._weighting(counts=counts)
        loss: ClassLoss = self._loss(counts=counts, weights=None)
        shift = loss.shift.double().numpy() if isinstance(loss, LogitAdjusted) else np.zeros(len(numbers))
        if class_weights is not None:
            weights = weights * class_weights[targets]
        return Balance(weights, shift)

    def _sampled(self, targets: Classes, classes: Sequence[str]) -> Doubles:
        numbers = np.bincount(targets, minlength=len(classes))
        if isinstance(self._sampling, InstanceBalanced):
            return np.ones(len(targets))
        if isinstance(self._sampling, Weighted):
            return np.asarray(numbers.astype(np.float64) ** -self._sampling.power)[targets]
        sampling = self._sampling
        if isinstance(sampling, Oversample) and sampling.classes is not None:
            kept = [name for name in sampling.classes if name in classes]
            sampling = Oversample(sampling.target, kept) if kept else sampling
            if not kept:
                return np.ones(len(targets))
        rows = sampling.sample(targets, classes, 0, self._seed).rows
        if isinstance(sampling, Undersample):
            return np.bincount(rows, minlength=len(targets)).astype(np.float64)
        shown = np.bincount(targets[rows], minlength=len(classes))
        return np.asarray(shown / numbers)[targets]


def _partial(node: DictConfig) -> Callable[..., Any]:
    function: Callable[..., Any] = instantiate(node, _partial_=True, _convert_="all")
    return function


def _make(node: Mapping[str, Any]) -> Any:
    return instantiate(node, _partial_=True, _convert_="all")()
