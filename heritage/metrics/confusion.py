"""The confusion matrix as an object, and the most frequent confusions with their most confident images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from heritage.core.escaping import html
from heritage.core.numbers import counted, percent
from heritage.metrics.classification import Scores, confusion_matrix, scores


@dataclass(frozen=True, eq=False)
class ConfusionMatrix:
    """Predictions of a set of images, counted by target and predicted class.

    Attributes:
        counts: Targets (rows) by predictions (columns), (K, K).
        classes: The class list, K.
    """

    counts: npt.NDArray[np.int64]
    classes: tuple[str, ...]

    @classmethod
    def of(
        cls, targets: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64], classes: Sequence[str]
    ) -> ConfusionMatrix:
        """Count targets (N,) and predicted classes (N,)."""
        return cls(confusion_matrix(targets, predicted, len(classes)), tuple(classes))

    @cached_property
    def scores(self) -> Scores:
        """Precision, recall, F1 of each class and their averages."""
        return scores(self.counts)

    @cached_property
    def fractions(self) -> npt.NDArray[np.float64]:
        """Counts as fractions of each row, (K, K); 0 in the row of a class without images."""
        fractions: npt.NDArray[np.float64] = self.counts / np.maximum(
            self.counts.sum(axis=1, keepdims=True), 1
        )
        return fractions

    def errors_by_class(self) -> list[tuple[str, int, list[tuple[str, int]]]]:
        """Return each class, its number of errors, and the classes predicted instead, most frequent first."""
        rows = []
        for k, name in enumerate(self.classes):
            others = [(self.classes[j], int(self.counts[k, j])) for j in range(len(self.classes)) if j != k]
            others.sort(key=lambda item: -item[1])
            rows.append((name, sum(count for _, count in others), others))
        return rows

    def __repr__(self) -> str:
        images, accuracy = int(self.counts.sum()), self.scores.accuracy
        size = f"{counted(len(self.classes), 'class')}, {counted(images, 'image')}"
        return f"ConfusionMatrix({size}, accuracy={accuracy:.3f})"

    def _repr_html_(self) -> str:
        names = [html(name) for name in self.classes]
        head = "".join(f"<th>{name}</th>" for name in names)
        rows = "".join(
            f"<tr><th style='text-align:left'>{name}</th>{self._cells(k)}</tr>"
            for k, name in enumerate(names)
        )
        return (
            "<table><caption>Confusion matrix: true classes in rows, predictions in columns</caption>"
            f"<thead><tr><th></th>{head}</tr></thead><tbody>{rows}</tbody></table>"
        )

    def _cells(self, row: int) -> str:
        cells = zip(self.counts[row].tolist(), self.fractions[row].tolist(), strict=True)
        return "".join(
            f"<td style='text-align:center;background:rgba({'31,90,122' if column == row else '156,74,47'},"
            f"{0.85 * fraction:.2f});color:{'#fff' if fraction > 0.55 else 'inherit'}'>{count:,}"
            f"<br><small>{percent(fraction, 0)}</small></td>"
            for column, (count, fraction) in enumerate(cells)
        )


@dataclass(frozen=True, slots=True)
class ConfusedPair:
    """Images of one class that were predicted as one other class.

    Attributes:
        true: Index of their class.
        predicted: Index of the predicted class.
        count: Number of images.
        rows: Some of the images, the most confident errors first.
    """

    true: int
    predicted: int
    count: int
    rows: tuple[int, ...]


def confused_pairs(
    targets: npt.NDArray[np.int64],
    probabilities: npt.NDArray[np.float64],
    *,
    images_per_pair: int,
    max_images: int,
) -> list[ConfusedPair]:
    """Return all pairs of confused classes, most frequent first, with their most confident errors.

    Args:
        targets: Shape (N,).
        probabilities: Shape (N, K).
        images_per_pair: Images of each pair, at most.
        max_images: Images in all, at most; each pair keeps at least one.
    """
    predicted = probabilities.argmax(axis=1)
    confidence = probabilities.max(axis=1)
    errors = np.flatnonzero(predicted != targets)
    errors = errors[np.argsort(-confidence[errors], kind="stable")]
    by_pair: dict[tuple[int, int], list[int]] = {}
    for row in errors.tolist():
        by_pair.setdefault((int(targets[row]), int(predicted[row])), []).append(row)
    ordered = sorted(by_pair.items(), key=lambda item: (-len(item[1]), item[0]))
    while sum(min(len(rows), images_per_pair) for _, rows in ordered) > max_images and images_per_pair > 1:
        images_per_pair -= 1
    return [ConfusedPair(*pair, len(rows), tuple(rows[:images_per_pair])) for pair, rows in ordered]
