"""Several processes that fill one feature store: ``shard=3/16``."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from heritage.errors import ConfigError

MAX_SHARDS = 10_000
_FORM = re.compile(r"(\d{1,9})/(\d{1,9})")


@dataclass(frozen=True)
class Shard:
    """A part of a store's rows that one process computes.

    Attributes:
        number: Its number, from 1.
        count: The number of shards.
    """

    number: int
    count: int

    def __str__(self) -> str:
        return f"shard {self.number} of {self.count}"

    def rows(self, total: int) -> npt.NDArray[np.int64]:
        """Return the rows that this shard computes of a store of ``total``."""
        return np.array_split(np.arange(total), self.count)[self.number - 1]

    @property
    def lock(self) -> str:
        """Name of its lock file."""
        return ".lock" if self.count == 1 else f".shard-{self.number}-of-{self.count}.lock"


WHOLE = Shard(1, 1)


def parse_shard(text: object) -> Shard:
    """Return the shard of an option ``shard``; None is the whole store.

    Raises:
        ConfigError: It is not of the form ``3/16``, or there is no such shard.

    Example:
        >>> parse_shard("3/16"), parse_shard(None) == WHOLE
        (Shard(number=3, count=16), True)
    """
    if text is None:
        return WHOLE
    match = _FORM.fullmatch(str(text).strip())
    if match is None:
        raise ConfigError(
            "not a number and a count",
            where=f"shard={text}",
            remedy="write shard=3/16 for the third of sixteen processes",
        )
    shard = Shard(int(match[1]), int(match[2]))
    if not 1 <= shard.count <= MAX_SHARDS:
        raise ConfigError(
            "not a number of shards", where=f"shard={text}", remedy=f"use 1 to {MAX_SHARDS:,} shards"
        )
    if not 1 <= shard.number <= shard.count:
        raise ConfigError(
            "no such shard",
            where=f"shard={text}",
            remedy=f"they are numbered from 1/{shard.count} to {shard.count}/{shard.count}",
        )
    return shard
