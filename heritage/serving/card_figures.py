"""The figures of a model card: scores on the run's own test split, each with an interval."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from heritage.analysis.predictions import PREDICTIONS_FILE
from heritage.errors import CheckpointError
from heritage.scores import confusion_matrix, scores

RESAMPLES = 1000
_LEVEL = 0.95
_NEEDED = {"class", "predicted"}


@dataclass(frozen=True)
class Figure:
    """A score and the middle 95 % of its values over resamples of objects.

    Attributes:
        name: What people call it.
        value: The score.
        low: Lower end.
        high: Upper end.
    """

    name: str
    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f}–{self.high:.3f})"


@dataclass(frozen=True)
class Figures:
    """Scores of a test split.

    Attributes:
        images: How many photographs.
        groups: Of how many objects.
        whole: Of all classes together.
        classes: Class → F1, and photographs of it.
    """

    images: int
    groups: int
    whole: tuple[Figure, ...]
    classes: dict[str, tuple[Figure, int]]


def figures_of_test(run_folder: Path, classes: tuple[str, ...]) -> Figures | None:
    """Score a run folder's ``predictions.parquet``; None where there is none.

    Photographs of one object stand or fall together, so resamples draw objects, not photographs (the
    cluster bootstrap: Field and Welsh, JRSS B 2007).

    Raises:
        CheckpointError: The file is damaged.
    """
    path = run_folder / PREDICTIONS_FILE
    if not path.is_file():
        return None
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise CheckpointError(f"unreadable ({error})", where=path, remedy="train or test it again") from error
    if not set(table.column_names) >= _NEEDED:
        raise CheckpointError(
            "lacks a column of classes or predictions", where=path, remedy="train or test it again"
        )
    targets, predicted = (_positions(table[name].to_pylist(), classes) for name in ("class", "predicted"))
    names = table["group_id"].to_pylist() if "group_id" in table.column_names else range(len(targets))
    _, groups = np.unique(np.array([str(name) for name in names]), return_inverse=True)
    return _figures(targets, predicted, groups, classes)


def _figures(
    targets: npt.NDArray[np.int64],
    predicted: npt.NDArray[np.int64],
    groups: npt.NDArray[np.int64],
    classes: tuple[str, ...],
) -> Figures:
    count = len(classes)
    cells = np.zeros((groups.max() + 1, count * count))
    np.add.at(cells, (groups, targets * count + predicted), 1)
    random = np.random.default_rng(0)
    drawn = random.multinomial(len(cells), np.full(len(cells), 1 / len(cells)), size=RESAMPLES)
    values = np.array([_values((row @ cells).reshape(count, count).astype(np.int64)) for row in drawn])
    low, high = np.quantile(values, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2], axis=0)
    confusion = confusion_matrix(targets, predicted, count)
    names = ("accuracy", "macro-F1", *classes)
    found = [
        Figure(name, *(float(number) for number in numbers))
        for name, *numbers in zip(names, _values(confusion), low, high, strict=True)
    ]
    support = confusion.sum(axis=1)
    return Figures(
        len(targets),
        len(cells),
        tuple(found[:2]),
        {figure.name: (figure, int(support[k])) for k, figure in enumerate(found[2:])},
    )


def _values(confusion: npt.NDArray[np.int64]) -> list[float]:
    found = scores(confusion)
    return [found.accuracy, found.macro.f1, *found.f1.tolist()]


def _positions(names: list[str], classes: tuple[str, ...]) -> npt.NDArray[np.int64]:
    known = {name: k for k, name in enumerate(classes)}
    try:
        return np.array([known[name] for name in names], dtype=np.int64)
    except KeyError as error:
        raise CheckpointError(
            f"names a class that the network does not know: {error}",
            where=PREDICTIONS_FILE,
            remedy="train or test it again",
        ) from error
