"""Samplings: select the images of each epoch (the sampling axis of `balance`).

A sampling is a function of (seed, epoch) alone, so that every rank and every resumed run has the same
epochs. It returns the rows in order and marks copies, which are rows repeated within an epoch to balance it;
they are augmented more strongly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import Field

from heritage.core.taxonomy import suggestion
from heritage.core.types import PositiveFloat, PositiveInt, Probability
from heritage.errors import ConfigError

Rows = npt.NDArray[np.int64]

Ratio = Annotated[float, Field(ge=1, allow_inf_nan=False)]
Target = Literal["largest"] | PositiveFloat
Chosen = Annotated[list[str], Field(min_length=1)]

_MOST = 10**8  # images of a class per epoch; a larger target is a mistyped number


class EpochSample(NamedTuple):
    """The images of an epoch, in order."""

    rows: Rows
    """Positions among the training images, int64, shape (M,)."""
    copies: npt.NDArray[np.bool_]
    """Whether a row is a copy of one that is already in the epoch, shape (M,)."""


class Sampling(Protocol):
    """Selects the images of an epoch.

    A subclass needs no registration: ``_target_`` in a file of ``conf/balance/sampling`` names it.

    Attributes:
        constant_length: Whether all epochs have the same number of images.
        constant_proportions: Whether all epochs have the same proportions of classes.
    """

    constant_length: ClassVar[bool] = True
    constant_proportions: ClassVar[bool] = True

    def sample(self, targets: Rows, classes: Sequence[str], epoch: int, seed: int) -> EpochSample:
        """Return the images of an epoch.

        Args:
            targets: The class of each training image, shape (N,).
            classes: The class list.
            epoch: The epoch, counted from 0.
            seed: The run's seed.
        """
        ...


@dataclass(frozen=True)
class InstanceBalanced(Sampling):
    """Every image once per epoch, in random order (no balancing)."""

    def sample(self, targets: Rows, classes: Sequence[str], epoch: int, seed: int) -> EpochSample:
        """Shuffle all images."""
        rows = _generator(seed, epoch).permutation(len(targets))
        return EpochSample(rows, np.zeros(len(rows), dtype=np.bool_))


@dataclass(frozen=True)
class Undersample(Sampling):
    """Random undersampling of the larger classes.

    Attributes:
        ratio: Maximum size of a class, as a multiple of the smallest one.
        redraw: Select other images in each epoch, so that all are used in time; false keeps the first
            selection for the whole run, as the thesis does.
    """

    ratio: Ratio
    redraw: bool

    def sample(self, targets: Rows, classes: Sequence[str], epoch: int, seed: int) -> EpochSample:
        """Draw from each class without replacement, up to the limit."""
        counts = np.bincount(targets, minlength=len(classes))
        smallest, largest = int(counts.min()), int(counts.max())
        limit = math.floor(min(smallest * self.ratio, largest) + 1e-6)  # 10 · 2.9999999999 is 30 images
        choice = _generator(seed, epoch if self.redraw else 0)
        kept = [choice.permutation(np.flatnonzero(targets == k))[:limit] for k in range(len(classes))]
        rows = _generator(seed, epoch, "order").permutation(np.concatenate(kept))
        return EpochSample(rows, np.zeros(len(rows), dtype=np.bool_))


@dataclass(frozen=True)
class Oversample(Sampling):
    """Random oversampling of the smaller classes with augmented copies of their images.

    Attributes:
        target: Minimum size of a class: ``largest``, a fraction of the largest class (up to 1), or a number
            of images (above 1). Larger classes are not changed.
        classes: The classes to oversample; null is all.
    """

    target: Target
    classes: Chosen | None

    def sample(self, targets: Rows, classes: Sequence[str], epoch: int, seed: int) -> EpochSample:
        """Add copies evenly: the numbers of copies of two images of a class differ by at most one.

        Raises:
            ConfigError: The data set lacks a class, or the target is too large.
        """
        counts = np.bincount(targets, minlength=len(classes))
        size = self._target_size(int(counts.max()))
        random = _generator(seed, epoch)
        rows = [np.arange(len(targets))]
        for k in self._class_positions(classes):
            members = np.flatnonzero(targets == k)
            rows.append(_copies(members, max(0, size - len(members)), random))
        copies = np.repeat([False, True], [len(targets), sum(map(len, rows[1:]))])
        order = random.permutation(len(copies))
        return EpochSample(np.concatenate(rows)[order], copies[order])

    def _target_size(self, largest: int) -> int:
        if self.target == "largest":
            return largest
        if self.target > _MOST:
            raise ConfigError(
                "too many images of a class per epoch",
                where=f"balance.sampling.target={self.target:g}",
                remedy=f"give at most {_MOST:,}, or largest",
            )
        return round(self.target if self.target > 1 else self.target * largest)

    def _class_positions(self, classes: Sequence[str]) -> list[int]:
        for name in self.classes or ():
            if name not in classes:
                raise ConfigError(
                    f"unknown class '{name}'",
                    where="balance.sampling.classes",
                    remedy=suggestion(name, classes),
                )
        return [k for k, name in enumerate(classes) if self.classes is None or name in self.classes]


@dataclass(frozen=True)
class Weighted(Sampling):
    """Weighted random sampling: with replacement, classes with probability ∝ count^(1 − power).

    Attributes:
        power: 0 keeps the class frequencies, 0.5 takes their square root, 1 makes all classes equally
            frequent (Kang et al. 2020, equation 1, with q = 1 − power).
    """

    power: Probability

    def sample(self, targets: Rows, classes: Sequence[str], epoch: int, seed: int) -> EpochSample:
        """Draw with replacement as many images as there are; repetitions are copies."""
        counts = np.bincount(targets, minlength=len(classes)).astype(np.float64)
        class_weights = np.where(counts > 0, counts, 1.0) ** -self.power
        return _with_replacement(targets, class_weights, _generator(seed, epoch))


@dataclass(frozen=True)
class ProgressivelyBalanced(Sampling):
    """Random sampling with replacement that moves from the class frequencies to balanced classes.

    In epoch t of T a class has probability (1 − t/(T − 1)) · n_k/N + t/(T − 1) / K, with t from 0 to T − 1
    (Kang et al. 2020, equation 3, with T − 1 in place of T, so that the last epoch is balanced).

    Attributes:
        epochs: T, the number of epochs over which it changes; later ones are balanced.
    """

    constant_proportions: ClassVar[bool] = False
    epochs: PositiveInt

    def sample(self, targets: Rows, classes: Sequence[str], epoch: int, seed: int) -> EpochSample:
        """Draw with replacement as many images as there are; repetitions are copies."""
        counts = np.bincount(targets, minlength=len(classes)).astype(np.float64)
        progress = 1.0 if self.epochs == 1 else min(1.0, epoch / (self.epochs - 1))
        present = counts > 0
        probabilities = (1 - progress) * counts / counts.sum() + progress * present / present.sum()
        return _with_replacement(
            targets, probabilities / np.where(present, counts, 1.0), _generator(seed, epoch)
        )


@dataclass(frozen=True)
class ProgressiveUndersample(Sampling):
    """Undersampling with a ratio that changes from epoch to epoch.

    Attributes:
        first: Maximum ratio of the largest to the smallest class in the first epoch.
        last: The same in the last epoch; the ratio changes by a constant factor per epoch.
        epochs: Number of epochs over which it changes; later ones have the ratio of the last.
    """

    constant_length: ClassVar[bool] = False
    constant_proportions: ClassVar[bool] = False

    first: Ratio
    last: Ratio
    epochs: PositiveInt

    def sample(self, targets: Rows, classes: Sequence[str], epoch: int, seed: int) -> EpochSample:
        """Draw from each class without replacement, up to the epoch's limit."""
        return Undersample(self.ratio(epoch), redraw=True).sample(targets, classes, epoch, seed)

    def ratio(self, epoch: int) -> float:
        """Return the ratio of an epoch."""
        progress = 1.0 if self.epochs == 1 else min(1.0, epoch / (self.epochs - 1))
        return float(self.first * (self.last / self.first) ** progress)


def _with_replacement(
    targets: Rows, class_weights: npt.NDArray[np.float64], random: np.random.Generator
) -> EpochSample:
    """Draw images with probabilities proportional to their class's weight; repetitions are copies."""
    weights = class_weights[targets]
    rows = random.choice(len(targets), size=len(targets), p=weights / weights.sum())
    copies = np.ones(len(rows), dtype=np.bool_)
    copies[np.unique(rows, return_index=True)[1]] = False
    return EpochSample(rows, copies)


def _copies(members: Rows, count: int, random: np.random.Generator) -> Rows:
    """Return ``count`` copies of the members, as evenly as possible."""
    if not count:
        return members[:0]
    whole, rest = divmod(count, len(members))
    return np.concatenate([np.tile(members, whole), random.permutation(members)[:rest]])


def _generator(seed: int, epoch: int, purpose: str = "") -> np.random.Generator:
    return np.random.default_rng([seed, epoch, *purpose.encode()])
