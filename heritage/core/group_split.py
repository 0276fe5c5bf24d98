"""Assign groups to subsets: whole, stratified by class, and independent of the order of the rows.

Used for splits that are made once (`heritage.data.split`) and for splits that are kept while images are added
(`heritage.curation.splits`). A subset is a split (train, val, test) or a fold.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int64]

UNASSIGNED = -1
"""The subset of a row that has not been assigned."""

# A group fits into a subset if no class exceeds its quota by more than this fraction.
_TOLERANCE = 0.05


def split_fractions(test: float, val: float) -> tuple[float, float, float]:
    """Return the fractions of train, val and test, given ``test`` of all images and ``val`` of the rest."""
    return (1 - test) * (1 - val), (1 - test) * val, test


def assign_groups(
    targets: Codes,
    groups: Codes,
    names: Sequence[str],
    fractions: Sequence[float],
    seed: int,
    *,
    previous: Codes | None = None,
    large: float = 1.0,
) -> Codes:
    """Assign groups to subsets so that each subset gets its fraction of every class.

    Groups are visited in the order of a hash of the seed and their names. Each goes to the subset whose
    classes are furthest below their quota, unless the group would overfill it; every subset gets a group of
    each class before any is filled. The result depends neither on the order of the rows nor on the numbers of
    the groups.

    Args:
        targets: The class of each row, shape (N,).
        groups: The group of each row, shape (N,).
        names: A name of each row, length N; a group is named after its smallest one.
        fractions: The fraction of each subset; they add up to 1.
        seed: Random seed of the order.
        previous: The subset of each row in an earlier assignment, or `UNASSIGNED`; shape (N,). A group with
            an assigned row keeps that row's subset.
        large: Groups with more than this fraction of a class are assigned first, while there is room.

    Returns:
        The subset of each row, shape (N,).
    """
    codes = np.unique(groups, return_inverse=True)[1]
    count = int(codes.max(initial=-1)) + 1
    totals = np.bincount(targets, minlength=1)
    sizes = _sizes_by_class(codes, targets, count)
    name = ["\uffff"] * count
    for group, own in zip(codes.tolist(), names, strict=True):
        name[group] = min(name[group], own)
    fixed = np.full(count, UNASSIGNED)
    if previous is not None:
        np.maximum.at(fixed, codes, previous)
    limits = (large * totals).tolist()
    quotas = np.maximum(np.outer(fractions, totals), 1e-9).tolist()
    filled = [[0] * len(totals) for _ in fractions]

    def order(group: int) -> tuple[bool, bool, bytes]:
        small = all(size <= limits[target] for target, size in sizes[group].items())
        return bool(fixed[group] == UNASSIGNED), small, _rank(name[group], seed)

    subset_of = fixed.tolist()
    # Plain lists: a quarter of a million groups take about a second, with arrays ten.
    for group in sorted(range(count), key=order):
        if subset_of[group] == UNASSIGNED:
            subset_of[group] = max(
                range(len(filled)), key=lambda subset: _need(sizes[group], filled[subset], quotas[subset])
            )
        for target, size in sizes[group].items():
            filled[subset_of[group]][target] += size
    return np.array(subset_of, dtype=np.int64)[codes]


def _sizes_by_class(codes: Codes, targets: Codes, count: int) -> list[dict[int, int]]:
    """Count the rows of each class in each group, with the classes in order."""
    sizes: list[dict[int, int]] = [defaultdict(int) for _ in range(count)]
    order = np.argsort(targets, kind="stable")
    for group, target in zip(codes[order].tolist(), targets[order].tolist(), strict=True):
        sizes[group][target] += 1
    return sizes


def _need(sizes: dict[int, int], filled: list[int], quotas: list[float]) -> tuple[bool, float, float]:
    """Return a subset's priority for a group: whether it fits, the relative need, and the quota for ties."""
    fits = all(
        not filled[k] or filled[k] + size <= quotas[k] * (1 + _TOLERANCE) + 1 for k, size in sizes.items()
    )
    need = sum(size * (1 - filled[k] / quotas[k]) for k, size in sizes.items())
    return fits, need, quotas[next(iter(sizes))]


def _rank(name: str, seed: int) -> bytes:
    return hashlib.blake2b(name.encode(), digest_size=8, key=str(seed).encode()).digest()
