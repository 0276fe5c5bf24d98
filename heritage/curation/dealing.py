"""Groups dealt to parts in proportion by class, so that what was dealt before stays where it is."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int64]

NEW = -1
"""The part of a row that was never dealt."""

# A group may overfill a part by this much of what the part is to hold of a class.
_SLACK = 0.05


def deal(
    targets: Codes, groups: Codes, contents: Sequence[str], shares: Sequence[float], seed: int, before: Codes
) -> Codes:
    """Deal groups to parts so that each part gets its share of every class.

    Groups come in an order given by a hash of their content and each goes where its classes are
    furthest behind their share, unless it would overfill that part. A group with a row that was
    dealt before goes where that row is.

    Args:
        targets: The class of each row, shape (N,).
        groups: The group of each row, shape (N,).
        contents: The checksum of each row's photograph, length N.
        shares: The share of each part; they add up to 1.
        seed: Another seed gives another order.
        before: The part of each row in an earlier deal, or `NEW`; shape (N,).

    Returns:
        The part of each row, shape (N,).
    """
    classes = int(targets.max(initial=0)) + 1
    codes = np.unique(groups, return_inverse=True)[1]
    inside: list[dict[int, int]] = [defaultdict(int) for _ in range(int(codes.max(initial=-1)) + 1)]
    name = ["\uffff"] * len(inside)
    fixed = [NEW] * len(inside)
    for group, target, content, part in zip(
        codes.tolist(), targets.tolist(), contents, before.tolist(), strict=True
    ):
        inside[group][target] += 1
        name[group] = min(name[group], content)
        fixed[group] = max(fixed[group], part)
    goals = np.maximum(np.outer(shares, np.bincount(targets, minlength=classes)), 1e-9).tolist()
    held = [[0] * classes for _ in shares]
    order = sorted(range(len(inside)), key=lambda group: (fixed[group] == NEW, _rank(name[group], seed)))
    part_of = np.empty(len(inside), dtype=np.int64)
    # Plain lists: a quarter of a million groups are dealt in about a second, with arrays in ten.
    for group in order:
        part = fixed[group]
        if part == NEW:
            part = max(range(len(held)), key=lambda each: _need(inside[group], held[each], goals[each]))
        part_of[group] = part
        for target, count in inside[group].items():
            held[part][target] += count
    return part_of[codes]


def _need(inside: dict[int, int], held: list[int], goals: list[float]) -> tuple[bool, float, float]:
    """How much a part wants a group: fits, then relative need, then size (larger parts break ties)."""
    fits = all(not held[k] or held[k] + count <= goals[k] * (1 + _SLACK) + 1 for k, count in inside.items())
    need = sum(count * (1 - held[k] / goals[k]) for k, count in inside.items())
    return fits, need, goals[next(iter(inside))]


def _rank(name: str, seed: int) -> bytes:
    return hashlib.blake2b(name.encode(), digest_size=8, key=str(seed).encode()).digest()
