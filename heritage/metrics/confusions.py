"""What is mistaken for what: the thesis's table 3.1 for every class, and the worst mistakes of each kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Pair:
    """One kind of mistake: images of class ``true`` that were called ``predicted``.

    Attributes:
        true: Position of the class in the class list.
        predicted: The same of what it was called.
        count: How many images.
        rows: The images, the most confident mistake first.
    """

    true: int
    predicted: int
    count: int
    rows: tuple[int, ...]


def mistaken_for(
    confusion: npt.NDArray[np.int64], classes: Sequence[str]
) -> list[tuple[str, int, list[tuple[str, int]]]]:
    """Return for each class how many images were mistaken, and for what, most often first.

    Args:
        confusion: Targets (rows) by predictions (columns), (K, K).
        classes: Their names, K.
    """
    found = []
    for k, name in enumerate(classes):
        others = [(classes[j], int(confusion[k, j])) for j in range(len(classes)) if j != k]
        others.sort(key=lambda item: -item[1])
        found.append((name, sum(count for _, count in others), others))
    return found


def pairs(
    targets: npt.NDArray[np.int64], probabilities: npt.NDArray[np.float64], *, each: int, most: int
) -> list[Pair]:
    """Return every kind of mistake, the most frequent first, with its most confident images.

    Args:
        targets: Shape (N,).
        probabilities: Shape (N, K).
        each: Images of a kind, at most.
        most: Images in all, at most; the frequent kinds give way first.
    """
    predicted = probabilities.argmax(axis=1)
    confidence = probabilities.max(axis=1)
    wrong = np.flatnonzero(predicted != targets)
    wrong = wrong[np.argsort(-confidence[wrong], kind="stable")]
    kinds: dict[tuple[int, int], list[int]] = {}
    for row in wrong.tolist():
        kinds.setdefault((int(targets[row]), int(predicted[row])), []).append(row)
    ordered = sorted(kinds.items(), key=lambda item: (-len(item[1]), item[0]))
    while sum(min(len(rows), each) for _, rows in ordered) > most and each > 1:
        each -= 1
    return [Pair(true, called, len(rows), tuple(rows[:each])) for (true, called), rows in ordered]
