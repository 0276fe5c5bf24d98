"""Classification scores from a confusion matrix, with scikit-learn's conventions.

Everything is counted once over a whole set, never averaged over batches. A class that was never
predicted has precision 0, and a class without images has recall 0 and counts in the macro average.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Averages:
    """Precision, recall and F1 averaged over classes."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Scores:
    """Scores of each class and their averages.

    Attributes:
        precision: Of what was called this class, the part that is; shape (K,).
        recall: Of what is this class, the part that was called so; shape (K,).
        f1: Harmonic mean of both; shape (K,).
        support: Images of each class; shape (K,).
        accuracy: The part of all images that was called right.
        macro: Averages in which every class counts alike.
        weighted: Averages in which every image counts alike.
    """

    precision: Floats
    recall: Floats
    f1: Floats
    support: npt.NDArray[np.int64]
    accuracy: float
    macro: Averages
    weighted: Averages


def confusion_matrix(
    targets: npt.NDArray[np.int64], predictions: npt.NDArray[np.int64], classes: int
) -> npt.NDArray[np.int64]:
    """Count targets (rows) by predictions (columns); shape (K, K)."""
    cells = np.bincount(targets * classes + predictions, minlength=classes * classes)
    return cells.reshape(classes, classes)


def scores(confusion: npt.NDArray[np.int64]) -> Scores:
    """Score a confusion matrix of targets (rows) by predictions (columns), shape (K, K)."""
    right = np.diag(confusion).astype(np.float64)
    support = confusion.sum(axis=1)
    precision = _divide(right, confusion.sum(axis=0))
    recall = _divide(right, support)
    return from_rows(precision, recall, support, f1=_divide(2 * right, support + confusion.sum(axis=0)))


def from_rows(
    precision: Floats, recall: Floats, support: npt.NDArray[np.int64], *, f1: Floats | None = None
) -> Scores:
    """Average published per-class rows, as a table in a paper gives them.

    Args:
        precision: Shape (K,).
        recall: Shape (K,).
        support: Images of each class, shape (K,).
        f1: Shape (K,); from precision and recall where it is not given.
    """
    if f1 is None:
        f1 = _divide(2 * precision * recall, precision + recall)
    total = max(int(support.sum()), 1)
    share = support / total

    def averages(weights: Floats) -> Averages:
        return Averages(float(weights @ precision), float(weights @ recall), float(weights @ f1))

    return Scores(
        precision=precision,
        recall=recall,
        f1=f1,
        support=support,
        accuracy=float(share @ recall),
        macro=averages(np.full(len(support), 1 / len(support))),
        weighted=averages(share),
    )


def _divide(numerator: Floats, denominator: npt.NDArray[np.generic]) -> Floats:
    bottom = denominator.astype(np.float64)
    return np.divide(numerator, bottom, out=np.zeros_like(numerator), where=bottom > 0)
