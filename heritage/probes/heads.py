"""The four probes behind one interface: settings, scores of held-out images for all of them, a final fit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import torch

from heritage.probes.logistic import LOOSE, TIGHT, fit_logistic
from heritage.probes.neighbours import Neighbours, fit_neighbours
from heritage.probes.prototypes import Prototypes, fit_prototypes
from heritage.probes.ridge import fit_ridge
from heritage.probes.scaling import Scaling
from heritage.probes.task import Classes, Doubles, Floats, LinearFits, Task

Setting = Mapping[str, float | int | bool]


@dataclass(frozen=True)
class FittedLinear:
    """Logits x Wᵀ + b of features that are not standardised: weight (K, D), bias (K,).

    ``converged`` is whether an iterative fit met its tolerance.
    """

    weight: Floats
    bias: Floats
    converged: bool = True

    def scores(self, features: Floats) -> Floats:
        """Return the logits (N, K) of features (N, D)."""
        logits: Floats = features @ self.weight.T + self.bias
        return logits

    def scaled(self, factor: float) -> FittedLinear:
        """Return the head whose logits are ``factor`` times as large."""
        return replace(self, weight=self.weight * np.float32(factor), bias=self.bias * np.float32(factor))


@dataclass(frozen=True)
class FittedCosine:
    """Logits scale · cos(x − mean, vector_k)."""

    prototypes: Prototypes
    scale: float = 1.0

    def scores(self, features: Floats) -> Floats:
        """Return the logits (N, K) of features (N, D)."""
        logits: Floats = np.float32(self.scale) * self.prototypes.scores(features)
        return logits

    def scaled(self, factor: float) -> FittedCosine:
        """Return the head whose logits are ``factor`` times as large."""
        return FittedCosine(self.prototypes, self.scale * factor)


@dataclass(frozen=True)
class FittedNeighbours:
    """Log shares of the votes of the nearest stored features."""

    stored: Neighbours
    neighbours: int
    temperature: float

    def scores(self, features: Floats) -> Floats:
        """Return the logits (N, K) of features (N, D)."""
        logits: Floats = self.stored.scores(features, [(self.neighbours, self.temperature)])[0]
        return logits

    def scaled(self, factor: float) -> FittedNeighbours:
        """Return the head itself: its logits are probabilities' logarithms."""
        return self


Fitted = FittedLinear | FittedCosine | FittedNeighbours


class Probe(ABC):
    """A kind of head with a grid of settings.

    Attributes:
        settings: The grid; of settings that are equally good the first is chosen, so it begins with the
            simplest.
        calibrated: Whether its logits are fitted to the classes' probabilities; others are scaled after the
            choice of a setting.
    """

    settings: tuple[Setting, ...]
    calibrated: bool = True

    @abstractmethod
    def scores(self, task: Task, held_out: Floats) -> Floats:
        """Fit every setting and return the logits (S, M, K) of held-out features (M, D)."""

    @abstractmethod
    def fit(self, task: Task, setting: Setting) -> Fitted:
        """Fit one setting."""

    @abstractmethod
    def only(self, setting: Setting) -> Probe:
        """Return the probe with one setting."""


class _LinearProbe(Probe):
    """A linear head with a penalty, on standardised features or on features with their relative sizes."""

    def __init__(self, penalties: Sequence[float], standardise: Sequence[bool]) -> None:
        ordered = sorted(set(penalties), reverse=True)
        self.settings = tuple(
            {"penalty": penalty, "standardise": each}
            for each, penalty in product(dict.fromkeys(standardise), ordered)
        )

    @abstractmethod
    def _fits(self, task: Task, penalties: Sequence[float], *, final: bool) -> LinearFits: ...

    def scores(self, task: Task, held_out: Floats) -> Floats:
        parts = []
        for each in dict.fromkeys(bool(setting["standardise"]) for setting in self.settings):
            penalties = [float(one["penalty"]) for one in self.settings if one["standardise"] == each]
            scaling = Scaling.of(task.features, each=each)
            fits = self._fits(_scaled(task, scaling), penalties, final=False)
            parts.append(fits.scores(scaling.apply(held_out)))
        return np.concatenate(parts)

    def fit(self, task: Task, setting: Setting) -> FittedLinear:
        scaling = Scaling.of(task.features, each=bool(setting["standardise"]))
        fits = self._fits(_scaled(task, scaling), [float(setting["penalty"])], final=True)
        return FittedLinear(*scaling.fold(fits.weight[0], fits.bias[0]), bool(fits.converged[0]))

    def only(self, setting: Setting) -> Probe:
        return type(self)([float(setting["penalty"])], [bool(setting["standardise"])])


class LogisticProbe(_LinearProbe):
    """`heritage.probes.logistic`."""

    def _fits(self, task: Task, penalties: Sequence[float], *, final: bool) -> LinearFits:
        if final:
            return fit_logistic(task, penalties, tolerance=TIGHT, dtype=torch.float64)
        return fit_logistic(task, penalties, tolerance=LOOSE)


class RidgeProbe(_LinearProbe):
    """`heritage.probes.ridge`."""

    calibrated = False

    def _fits(self, task: Task, penalties: Sequence[float], *, final: bool) -> LinearFits:
        return fit_ridge(task, penalties)


class PrototypeProbe(Probe):
    """`heritage.probes.prototypes`; images with weight 0 are left out, other weights have no effect."""

    calibrated = False

    def __init__(self, centre: Sequence[bool]) -> None:
        self.settings = tuple({"centre": value} for value in dict.fromkeys(centre))

    def scores(self, task: Task, held_out: Floats) -> Floats:
        """Return the logits (S, M, K) of held-out features (M, D)."""
        return np.stack([self.fit(task, setting).scores(held_out) for setting in self.settings])

    def fit(self, task: Task, setting: Setting) -> FittedCosine:
        """Fit one setting."""
        used = task.balance.weights > 0
        centre = bool(setting["centre"])
        return FittedCosine(
            fit_prototypes(task.features[used], task.targets[used], task.classes, centre=centre)
        )

    def only(self, setting: Setting) -> Probe:
        """Return the probe with one setting."""
        return PrototypeProbe([bool(setting["centre"])])


class NeighbourProbe(Probe):
    """`heritage.probes.neighbours`; images with weight 0 are not stored.

    The votes of a class are multiplied by the mean weight of its images.
    """

    def __init__(
        self, neighbours: Sequence[int], temperatures: Sequence[float], centre: Sequence[bool]
    ) -> None:
        ordered = sorted(set(neighbours), reverse=True)
        self.settings = tuple(
            {"neighbours": count, "temperature": temperature, "centre": value}
            for value, count, temperature in product(
                dict.fromkeys(centre), ordered, sorted(set(temperatures), reverse=True)
            )
        )

    def scores(self, task: Task, held_out: Floats) -> Floats:
        """Return the logits (S, M, K) of held-out features (M, D)."""
        parts = []
        for centre in dict.fromkeys(bool(setting["centre"]) for setting in self.settings):
            pairs = [
                (int(one["neighbours"]), float(one["temperature"]))
                for one in self.settings
                if one["centre"] == centre
            ]
            parts.append(self._stored(task, centre=centre).scores(held_out, pairs))
        return np.concatenate(parts)

    def fit(self, task: Task, setting: Setting) -> FittedNeighbours:
        """Fit one setting."""
        stored = self._stored(task, centre=bool(setting["centre"]))
        count = min(int(setting["neighbours"]), len(stored.features))
        return FittedNeighbours(stored, count, float(setting["temperature"]))

    def only(self, setting: Setting) -> Probe:
        """Return the probe with one setting."""
        return NeighbourProbe(
            [int(setting["neighbours"])], [float(setting["temperature"])], [bool(setting["centre"])]
        )

    def _stored(self, task: Task, *, centre: bool) -> Neighbours:
        used = task.balance.weights > 0
        votes = class_votes(task.targets[used], task.balance.weights[used], task.balance.shift)
        return fit_neighbours(task.features[used], task.targets[used], votes, centre=centre)


def class_votes(targets: Classes, weights: Doubles, shift: Doubles) -> Doubles:
    """Return each class's mean weight times exp(−shift), scaled to a mean of 1 over the classes, (K,)."""
    counts = np.bincount(targets, minlength=len(shift))
    means = np.bincount(targets, weights, minlength=len(shift)) / np.maximum(counts, 1)
    votes = np.where(counts > 0, means, 1.0) * np.exp(-(shift - shift.max()))
    return np.asarray(votes / votes.mean())


def _scaled(task: Task, scaling: Scaling) -> Task:
    return Task(scaling.apply(task.features), task.targets, task.classes, task.balance)
