"""The figures of a model card: scores on the run's own test split, each with an interval."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from heritage.errors import CheckpointError
from heritage.evaluation.assessment import FEW_GROUPS
from heritage.metrics.bootstrap import (
    Floats,
    confusion_scores,
    confusion_terms,
    draws,
    group_codes,
    group_sums,
    interval,
)
from heritage.metrics.classification import confusion_matrix, scores
from heritage.runs.files import PREDICTIONS_FILE

RESAMPLES = 1000
_NEEDED = {"class", "predicted"}


@dataclass(frozen=True)
class CardMetric:
    """A score and the middle 95 % of its values over resamples of objects.

    Attributes:
        name: What people call it.
        value: The score.
        low: Lower end; NaN where there are too few objects to tell.
        high: Upper end.
    """

    name: str
    value: float
    low: float
    high: float

    def __str__(self) -> str:
        if math.isnan(self.low):
            return f"{self.value:.3f} (too few objects to tell)"
        return f"{self.value:.3f} ({self.low:.3f}–{self.high:.3f})"


@dataclass(frozen=True)
class CardMetrics:
    """Scores of a test split.

    Attributes:
        images: How many photographs.
        groups: Of how many objects.
        whole: Of all classes together.
        classes: Class → F1, and photographs of it.
    """

    images: int
    groups: int
    whole: tuple[CardMetric, ...]
    classes: dict[str, tuple[CardMetric, int]]


def figures_of_test(run_folder: Path, classes: tuple[str, ...]) -> CardMetrics | None:
    """Score a run folder's ``predictions.parquet``; None where there is none.

    Resamples draw objects, not photographs (`heritage.metrics.bootstrap`).

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
    return _figures(targets, predicted, group_codes([str(name) for name in names]), classes)


def _figures(
    targets: npt.NDArray[np.int64],
    predicted: npt.NDArray[np.int64],
    groups: npt.NDArray[np.int64],
    classes: tuple[str, ...],
) -> CardMetrics:
    count = len(classes)
    sums = group_sums(confusion_terms(targets, predicted, count), groups)
    single, by_class = confusion_scores(
        np.concatenate([drawn @ sums for drawn in draws(len(sums), RESAMPLES, seed=0)]).reshape(
            -1, count, count
        )
    )
    confusion = confusion_matrix(targets, predicted, count)
    scored = scores(confusion)
    whole = (
        _figure("accuracy", scored.accuracy, single["accuracy"]),
        _figure("macro-F1", scored.macro.f1, single["macro_f1"]),
    )
    f1 = by_class["f1"].copy()
    for k in range(count):
        if len(np.unique(groups[targets == k])) < FEW_GROUPS:
            f1[:, k] = np.nan  # as `heritage evaluate` has it: they hardly vary, and would look sure
    each = {
        name: (_figure(name, float(scored.f1[k]), f1[:, k]), int(scored.support[k]))
        for k, name in enumerate(classes)
    }
    return CardMetrics(len(targets), len(sums), whole, each)


def _figure(name: str, value: float, resampled: Floats) -> CardMetric:
    middle = interval(resampled)
    return CardMetric(name, value, middle.low, middle.high)


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
