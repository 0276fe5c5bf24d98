"""Which images an epoch shows, and how often: the sampling axis of `balance`.

A sampling is asked for each epoch with a generator seeded by (seed, epoch) alone, so every rank and
every resumed run draws the same epoch. It returns the rows in order and says which are copies: rows
that an epoch shows again only to balance it, which are augmented more strongly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import Field

from heritage.core.taxonomy import nearest
from heritage.core.types import PositiveFloat, PositiveInt, Probability
from heritage.errors import ConfigError

Rows = npt.NDArray[np.int64]

Ratio = Annotated[float, Field(ge=1, allow_inf_nan=False)]
Target = Literal["largest"] | PositiveFloat
Chosen = Annotated[list[str], Field(min_length=1)]

_MOST = 10**8  # images of a class in an epoch: what asks for more is a slip of the finger


class EpochSample(NamedTuple):
    """An epoch's images in order."""

    rows: Rows
    """Positions among the training images, shape (N,)."""
    copies: npt.NDArray[np.bool_]
    """Whether a row repeats one that the epoch shows anyway, shape (N,)."""


class Sampling(Protocol):
    """Draws the images of an epoch.

    Attributes:
        constant_length: Whether every epoch shows as many images as the first.
        constant_proportions: Whether every epoch shows the classes in the first one's proportions.
    """

    constant_length: ClassVar[bool] = True
    constant_proportions: ClassVar[bool] = True

    def sample(self, targets: Rows, classes: Sequence[str], epoch: int, seed: int) -> EpochSample:
        """Draw an epoch.

        Args:
            targets: The class of each training image, shape (N,).
            classes: The class list.
            epoch: Counted from 0.
            seed: The run's seed.
        """
        ...


@dataclass(frozen=True)
class InstanceBalanced(Sampling):
    """Every image once, in a new order each epoch."""

    def sample(self, targets: Rows, classes: Sequence[str], epoch: int, seed: int) -> EpochSample:
        """Shuffle all images."""
        rows = _generator(seed, epoch).permutation(len(targets))
        return EpochSample(rows, np.zeros(len(rows), dtype=np.bool_))


@dataclass(frozen=True)
class Undersample(Sampling):
    """Larger classes are cut down.

    Attributes:
        ratio: No class keeps more than this many times the smallest class's images; 1 is the size of
            the smallest.
        redraw: Draw the kept images afresh each epoch, so that in time all are seen; false keeps the
            first draw for the whole run, the thesis's way.
    """

    ratio: Ratio
    redraw: bool

    def sample(self, targets: Rows, classes: Sequence[str], epoch: int, seed: int) -> EpochSample:
        """Draw without replacement up to the limit from each class."""
        counts = np.bincount(targets, minlength=len(classes))
        smallest, largest = int(counts.min()), int(counts.max())
        limit = math.floor(min(smallest * self.ratio, largest) + 1e-6)  # 10 · 2.9999999999 are 30 images
        choice = _generator(seed, epoch if self.redraw else 0)
        kept = [choice.permutation(np.flatnonzero(targets == k))[:limit] for k in range(len(classes))]
        rows = _generator(seed, epoch, "order").permutation(np.concatenate(kept))
        return EpochSample(rows, np.zeros(len(rows), dtype=np.bool_))


@dataclass(frozen=True)
class Oversample(Sampling):
    """Smaller classes are brought up by augmented copies of their images.

    Attributes:
        target: What a class is brought up to: ``largest``, a part of the largest class (up to 1), or
            a number of images (above 1). Classes that have more are left alone.
        classes: The classes to bring up; null is all.
    """

    target: Target
    classes: Chosen | None

    def sample(self, targets: Rows, classes: Sequence[str], epoch: int, seed: int) -> EpochSample:
        """Draw copies evenly: no image is repeated twice more than another of its class.

        Raises:
            ConfigError: A class that the data set does not have, or more copies than anybody can mean.
        """
        counts = np.bincount(targets, minlength=len(classes))
        goal = self._goal(int(counts.max()))
        random = _generator(seed, epoch)
        rows = [np.arange(len(targets))]
        for k in self._chosen(classes):
            members = np.flatnonzero(targets == k)
            rows.append(_repeated(members, max(0, goal - len(members)), random))
        copies = np.repeat([False, True], [len(targets), sum(map(len, rows[1:]))])
        order = random.permutation(len(copies))
        return EpochSample(np.concatenate(rows)[order], copies[order])

    def _goal(self, largest: int) -> int:
        if self.target == "largest":
            return largest
        if self.target > _MOST:
            raise ConfigError(
                "so many images of a class in an epoch",
                where=f"balance.sampling.target={self.target:g}",
                remedy=f"give at most {_MOST:,}, or largest",
            )
        return round(self.target if self.target > 1 else self.target * largest)

    def _chosen(self, classes: Sequence[str]) -> list[int]:
        for name in self.classes or ():
            if name not in classes:
                near = nearest(name, classes)
                raise ConfigError(
                    f"unknown class '{name}'",
                    where="balance.sampling.classes",
                    remedy=f"did you mean '{near}'?" if near else f"choose from {', '.join(classes)}",
                )
        return [k for k, name in enumerate(classes) if self.classes is None or name in self.classes]


@dataclass(frozen=True)
class Weighted(Sampling):
    """Images are drawn with replacement, classes with probability ∝ count^(1 − power).

    Attributes:
        power: 0 is the natural distribution, 0.5 the square root of it, 1 all classes alike
            (Kang et al. 2020, equation 1, with q = 1 − power).
    """

    power: Probability

    def sample(self, targets: Rows, classes: Sequence[str], epoch: int, seed: int) -> EpochSample:
        """Draw as many images as there are; those after an image's first showing are copies."""
        counts = np.bincount(targets, minlength=len(classes)).astype(np.float64)
        chances = np.where(counts > 0, counts, 1.0) ** -self.power
        return _with_replacement(targets, chances, _generator(seed, epoch))


@dataclass(frozen=True)
class ProgressivelyBalanced(Sampling):
    """Images are drawn with replacement, at first as they are and at the end all classes alike.

    In epoch t of T a class is drawn with probability (1 − t/T) · natural + (t/T) / K (Kang et al. 2020,
    equation 3; t counts from 0 to T − 1 and T is taken one smaller, so that the last epoch is balanced).

    Attributes:
        epochs: T, the epochs over which it changes; later ones are balanced.
    """

    constant_proportions: ClassVar[bool] = False
    epochs: PositiveInt

    def sample(self, targets: Rows, classes: Sequence[str], epoch: int, seed: int) -> EpochSample:
        """Draw as many images as there are; those after an image's first showing are copies."""
        counts = np.bincount(targets, minlength=len(classes)).astype(np.float64)
        progress = 1.0 if self.epochs == 1 else min(1.0, epoch / (self.epochs - 1))
        present = counts > 0
        share = (1 - progress) * counts / counts.sum() + progress * present / present.sum()
        return _with_replacement(targets, share / np.where(present, counts, 1.0), _generator(seed, epoch))


@dataclass(frozen=True)
class ProgressiveUndersample(Sampling):
    """Larger classes are cut down more and more, or less and less, as the run goes on.

    Attributes:
        first: The largest class over the smallest in the first epoch, at most.
        last: The same in the last one; between them the ratio changes by a constant factor an epoch.
        epochs: Over how many epochs it changes; later ones are like the last.
    """

    constant_length: ClassVar[bool] = False
    constant_proportions: ClassVar[bool] = False

    first: Ratio
    last: Ratio
    epochs: PositiveInt

    def sample(self, targets: Rows, classes: Sequence[str], epoch: int, seed: int) -> EpochSample:
        """Draw without replacement up to the epoch's limit from each class."""
        return Undersample(self.ratio(epoch), redraw=True).sample(targets, classes, epoch, seed)

    def ratio(self, epoch: int) -> float:
        """Return the ratio of an epoch."""
        progress = 1.0 if self.epochs == 1 else min(1.0, epoch / (self.epochs - 1))
        return float(self.first * (self.last / self.first) ** progress)


def _with_replacement(
    targets: Rows, chances: npt.NDArray[np.float64], random: np.random.Generator
) -> EpochSample:
    """Draw as many images as there are, each with its class's chance; repeats are copies."""
    weights = chances[targets]
    rows = random.choice(len(targets), size=len(targets), p=weights / weights.sum())
    copies = np.ones(len(rows), dtype=np.bool_)
    copies[np.unique(rows, return_index=True)[1]] = False
    return EpochSample(rows, copies)


def _repeated(members: Rows, wanted: int, random: np.random.Generator) -> Rows:
    if not wanted:
        return members[:0]
    whole, rest = divmod(wanted, len(members))
    return np.concatenate([np.tile(members, whole), random.permutation(members)[:rest]])


def _generator(seed: int, epoch: int, purpose: str = "") -> np.random.Generator:
    return np.random.default_rng([seed, epoch, *purpose.encode()])
