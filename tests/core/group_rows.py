"""Rows with groups and classes, for tests of splits."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np

from heritage.core.group_split import UNASSIGNED


def population(seed: int, groups: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return targets, groups of heavy-tailed sizes, and a checksum of each row."""
    rng = np.random.default_rng(seed)
    sizes = np.minimum(rng.zipf(2.0, groups), 40)
    codes = np.repeat(np.arange(groups), sizes)
    targets = rng.choice(3, groups, p=[0.7, 0.2, 0.1])[codes]
    return targets, codes, [f"{number:08x}" for number in rng.integers(0, 2**32, len(codes)).tolist()]


def unassigned(rows: int) -> np.ndarray:
    """Return the subsets of rows without an earlier assignment."""
    return np.full(rows, UNASSIGNED)


def subsets_by_group(groups: np.ndarray, subsets: np.ndarray) -> dict[int, Counter[int]]:
    """Count the rows of each group in each subset."""
    found: dict[int, Counter[int]] = defaultdict(Counter)
    for group, part in zip(groups.tolist(), subsets.tolist(), strict=True):
        found[group][part] += 1
    return found
