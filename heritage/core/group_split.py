"""Groups dealt to parts in proportion by class: whole, in an order of their own, each where it is needed.

Both those who split once (`heritage.data.split`) and those who split again each time photographs are
added (`heritage.curation.splits`) deal by this rule.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int64]

UNASSIGNED = -1
"""The part of a row that was never dealt."""

# A group may overfill a part by this much of what the part is to hold of a class.
_SLACK = 0.05


def split_fractions(test: float, val: float) -> tuple[float, float, float]:
    """Return the shares of train, val and test: ``test`` of all images, ``val`` of the rest."""
    return (1 - test) * (1 - val), (1 - test) * val, test


def assign_groups(
    targets: Codes,
    groups: Codes,
    names: Sequence[str],
    shares: Sequence[float],
    seed: int,
    *,
    before: Codes | None = None,
    large: float = 1.0,
) -> Codes:
    """Deal groups to parts so that each part gets its share of every class.

    Groups come in an order given by a hash of the seed and their names, and each goes where its classes
    are furthest behind their share, as in drawing by quota, unless it would overfill that part; every
    part gets a group of each class before any is filled up. Neither the order of the rows nor the
    numbers of the groups matter.

    Args:
        targets: The class of each row, shape (N,).
        groups: The group of each row, shape (N,).
        names: What each row contributes to its group's name, length N; the least of them is the name.
        shares: The share of each part; they add up to 1.
        seed: Another seed gives another order.
        before: The part of each row in an earlier deal, or `UNASSIGNED`; shape (N,). A group with a row that
            was dealt before goes where that row is.
        large: Groups with more than this part of a class come first, while there is room for them.

    Returns:
        The part of each row, shape (N,).
    """
    codes = np.unique(groups, return_inverse=True)[1]
    count = int(codes.max(initial=-1)) + 1
    totals = np.bincount(targets, minlength=1)
    inside = _contents(codes, targets, count)
    name = ["\uffff"] * count
    for group, own in zip(codes.tolist(), names, strict=True):
        name[group] = min(name[group], own)
    fixed = np.full(count, UNASSIGNED)
    if before is not None:
        np.maximum.at(fixed, codes, before)
    limits = (large * totals).tolist()
    goals = np.maximum(np.outer(shares, totals), 1e-9).tolist()
    held = [[0] * len(totals) for _ in shares]

    def turn(group: int) -> tuple[bool, bool, bytes]:
        small = all(count <= limits[target] for target, count in inside[group].items())
        return bool(fixed[group] == UNASSIGNED), small, _rank(name[group], seed)

    part_of = fixed.tolist()
    # Plain lists: a quarter of a million groups are dealt in about a second, with arrays in ten.
    for group in sorted(range(count), key=turn):
        if part_of[group] == UNASSIGNED:
            part_of[group] = max(
                range(len(held)), key=lambda part: _need(inside[group], held[part], goals[part])
            )
        for target, own_count in inside[group].items():
            held[part_of[group]][target] += own_count
    return np.array(part_of, dtype=np.int64)[codes]


def _contents(codes: Codes, targets: Codes, count: int) -> list[dict[int, int]]:
    """Return how many rows of each class each group has, the classes in order."""
    inside: list[dict[int, int]] = [defaultdict(int) for _ in range(count)]
    order = np.argsort(targets, kind="stable")
    for group, target in zip(codes[order].tolist(), targets[order].tolist(), strict=True):
        inside[group][target] += 1
    return inside


def _need(inside: dict[int, int], held: list[int], goals: list[float]) -> tuple[bool, float, float]:
    """How much a part wants a group: fits, then relative need, then size (larger parts break ties)."""
    fits = all(not held[k] or held[k] + count <= goals[k] * (1 + _SLACK) + 1 for k, count in inside.items())
    need = sum(count * (1 - held[k] / goals[k]) for k, count in inside.items())
    return fits, need, goals[next(iter(inside))]


def _rank(name: str, seed: int) -> bytes:
    return hashlib.blake2b(name.encode(), digest_size=8, key=str(seed).encode()).digest()
