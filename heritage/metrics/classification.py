"""Precision, recall, F1 and accuracy of confusion matrices, with scikit-learn's conventions.

Counts are taken over a whole set, never averaged over batches. A class that was never predicted has precision
0; a class without images has recall 0 and counts in the macro average.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

MEASURES = ("precision", "recall", "f1")
"""The scores of a class."""


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
        precision: Fraction of the images predicted as this class that are of it, (K,).
        recall: Fraction of the images of this class that are predicted as it, (K,).
        f1: Harmonic mean of precision and recall, (K,).
        support: Images of each class, (K,).
        accuracy: Fraction of all images that are predicted correctly.
        macro: Unweighted averages over classes.
        weighted: Averages over classes, weighted by support.
    """

    precision: Floats
    recall: Floats
    f1: Floats
    support: Counts
    accuracy: float
    macro: Averages
    weighted: Averages


@dataclass(frozen=True)
class ConfusionScores:
    """Scores of R confusion matrices at once.

    A class without images in one matrix, but not in all of them (a resample that missed it), has NaN scores
    there and is left out of that matrix's averages.

    Attributes:
        cells: Targets (rows) by predictions (columns), (R, K, K).
    """

    cells: Floats

    @cached_property
    def correct(self) -> Floats:
        """Correct predictions of each class, (R, K)."""
        diagonal: Floats = np.einsum("rkk->rk", self.cells)
        return diagonal

    @cached_property
    def support(self) -> Floats:
        """Images of each class, (R, K)."""
        support: Floats = self.cells.sum(axis=2)
        return support

    @cached_property
    def predicted(self) -> Floats:
        """Predictions of each class, (R, K)."""
        predicted: Floats = self.cells.sum(axis=1)
        return predicted

    @cached_property
    def images(self) -> Floats:
        """Images in all, (R,)."""
        images: Floats = self.support.sum(axis=1)
        return images

    @property
    def accuracy(self) -> Floats:
        """Fraction of the images that are predicted correctly, (R,)."""
        accuracy: Floats = self.correct.sum(axis=1) / self.images
        return accuracy

    @cached_property
    def precision(self) -> Floats:
        """Precision of each class, (R, K)."""
        return self.correct / np.maximum(self.predicted, 1) * self._mask

    @cached_property
    def recall(self) -> Floats:
        """Recall of each class, (R, K)."""
        return self.correct / np.maximum(self.support, 1) * self._mask

    @cached_property
    def f1(self) -> Floats:
        """F1 of each class, (R, K)."""
        return 2 * self.correct / np.maximum(self.support + self.predicted, 1) * self._mask

    @cached_property
    def _mask(self) -> Floats:
        present = (self.support > 0) | (self.support.sum(axis=0) == 0)
        return np.where(present, 1.0, np.nan)

    @property
    def by_class(self) -> dict[str, Floats]:
        """Scores of each class by the names of `MEASURES`, each (R, K)."""
        return {"precision": self.precision, "recall": self.recall, "f1": self.f1}

    def macro(self, scores: Floats) -> Floats:
        """Return the unweighted average over classes of scores (R, K), (R,)."""
        return mean_of_known(scores)

    def weighted(self, scores: Floats) -> Floats:
        """Return the average over classes of scores (R, K), weighted by support, (R,)."""
        average: Floats = np.nansum(scores * self.support, axis=1) / self.images
        return average

    def averages(self) -> dict[str, Floats]:
        """Return ``macro_precision``, ``weighted_f1`` and the other averages, each (R,)."""
        return {
            f"{kind}_{measure}": average(scores)
            for kind, average in (("macro", self.macro), ("weighted", self.weighted))
            for measure, scores in self.by_class.items()
        }


def confusion_matrix(targets: Counts, predictions: Counts, classes: int) -> Counts:
    """Count targets (rows) by predictions (columns), (K, K).

    Args:
        targets: Shape (N,).
        predictions: Shape (N,).
        classes: The number of classes, K.
    """
    cells = np.bincount(targets * classes + predictions, minlength=classes * classes)
    return cells.reshape(classes, classes)


def absent_note(test: Mapping[str, int], train: Mapping[str, int] | None = None) -> list[str]:
    """Return notes about classes without images; empty if there are none.

    Args:
        test: Test images of each class.
        train: Training images of each class, if they are known.
    """
    notes = []
    if untrained := [name for name, count in (train or {}).items() if not count]:
        notes.append(
            f"Without training images: {', '.join(untrained)}. The network cannot predict these classes."
        )
    if absent := [name for name, count in test.items() if not count]:
        notes.append(
            f"Absent from the test images: {', '.join(absent)}. Recall and F1 of these classes are unknown; "
            "they are given as 0 and counted in macro averages, but not in balanced accuracy and macro AUROC."
        )
    return notes


def scores(confusion: Counts) -> Scores:
    """Score a confusion matrix of targets (rows) by predictions (columns), (K, K)."""
    one = ConfusionScores(confusion[None].astype(np.float64))
    averages = one.averages()
    macro, weighted = (
        Averages(*(float(averages[f"{kind}_{measure}"][0]) for measure in MEASURES))
        for kind in ("macro", "weighted")
    )
    return Scores(
        precision=one.precision[0],
        recall=one.recall[0],
        f1=one.f1[0],
        support=confusion.sum(axis=1),
        accuracy=float(one.accuracy[0]),
        macro=macro,
        weighted=weighted,
    )


def mean_of_known(values: Floats) -> Floats:
    """Return the mean over the last axis, ignoring NaN; NaN where every value is NaN."""
    known = ~np.isnan(values)
    count = known.sum(axis=-1)
    mean = np.where(known, values, 0).sum(axis=-1) / np.maximum(count, 1)
    return np.asarray(np.where(count > 0, mean, np.nan), dtype=np.float64)
