"""Where an object's choices come from."""

from __future__ import annotations

from typing import TypeVar

from numpy.random import PCG64, Generator, SeedSequence

from heritage.core.taxonomy import CLASSES

T = TypeVar("T")


def numbers(seed: int, class_name: str, object_index: int, part: int) -> Generator:
    """Random numbers of one part of an object: 0 its making, 1 its label, 2 + k its view k."""
    return Generator(PCG64(SeedSequence([seed, CLASSES.index(class_name), object_index, part])))


def one_of(rng: Generator, *options: T) -> T:
    """Take one of the options; naming one twice makes it twice as likely."""
    return options[rng.integers(len(options))]
