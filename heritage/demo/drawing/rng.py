"""Random number generators and random choices."""

from __future__ import annotations

from typing import TypeVar

from numpy.random import PCG64, Generator, SeedSequence

from heritage.core.taxonomy import CLASSES

T = TypeVar("T")


def generator(seed: int, class_name: str, object_index: int, part: int) -> Generator:
    """Return the generator of a part of an object: 0 for its shape, 1 for its label, 2 + k for its view k."""
    return Generator(PCG64(SeedSequence([seed, CLASSES.index(class_name), object_index, part])))


def choose(rng: Generator, *options: T) -> T:
    """Return one of the options with equal probability; an option given twice is twice as likely."""
    return options[rng.integers(len(options))]
