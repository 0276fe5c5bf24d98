"""The metrics of a model card: on the run's own test split, with confidence intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from heritage.core.numbers import with_interval
from heritage.core.parquet_files import read_parquet
from heritage.errors import CheckpointError
from heritage.metrics.bootstrap import (
    FEW_GROUPS,
    Floats,
    confusion_terms,
    group_codes,
    interval,
    resampled_sums,
)
from heritage.metrics.classification import ConfusionScores, absent_note, confusion_matrix, scores
from heritage.metrics.registry import compute_metrics, confusion_metrics, metrics_of_confusion
from heritage.runs.files import PREDICTIONS_FILE

RESAMPLES = 1000
_NEEDED = {"class", "predicted"}


@dataclass(frozen=True)
class CardMetric:
    """A metric with a 95 % bootstrap interval over objects.

    Attributes:
        name: Its name.
        value: Its value.
        low: Lower bound; NaN if there are too few objects for an interval.
        high: Upper bound.
    """

    name: str
    value: float
    low: float
    high: float

    def __str__(self) -> str:
        if math.isnan(self.low):
            return f"{self.value:.3f} (too few objects for an interval)"
        return with_interval(self.value, self.low, self.high)


@dataclass(frozen=True)
class CardMetrics:
    """Metrics of a test split.

    Attributes:
        images: Number of images.
        groups: Number of objects that they show.
        overall: Metrics over all classes.
        classes: Class → F1, and the number of its images.
    """

    images: int
    groups: int
    overall: tuple[CardMetric, ...]
    classes: dict[str, tuple[CardMetric, int]]

    @property
    def notes(self) -> list[str]:
        """What these metrics do not show."""
        return absent_note({name: support for name, (_, support) in self.classes.items()})


def card_metrics(run_folder: Path, classes: tuple[str, ...]) -> CardMetrics | None:
    """Compute metrics of a run folder's ``predictions.parquet``; None if there is no such file.

    The bootstrap resamples objects, not images (`heritage.metrics.bootstrap`).

    Args:
        run_folder: The run folder.
        classes: The class list.

    Raises:
        CheckpointError: The file is damaged.
    """
    path = run_folder / PREDICTIONS_FILE
    if not path.is_file():
        return None
    try:
        table = read_parquet(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise CheckpointError(
            f"unreadable ({error})", where=path, remedy="restore the file, or train again"
        ) from error
    if not set(table.column_names) >= _NEEDED:
        raise CheckpointError(
            "has no column of classes or predictions", where=path, remedy="restore the file, or train again"
        )
    if not table.num_rows:
        return None
    targets, predicted = (_positions(table[name].to_pylist(), classes) for name in ("class", "predicted"))
    names = table["group_id"].to_pylist() if "group_id" in table.column_names else range(len(targets))
    return _metrics(targets, predicted, group_codes([str(name) for name in names]), classes)


def _metrics(
    targets: npt.NDArray[np.int64],
    predicted: npt.NDArray[np.int64],
    groups: npt.NDArray[np.int64],
    classes: tuple[str, ...],
) -> CardMetrics:
    count = len(classes)
    sums = resampled_sums(confusion_terms(targets, predicted, count), groups, RESAMPLES, seed=0)
    resampled = ConfusionScores(sums.reshape(-1, count, count))
    by_metric = compute_metrics(resampled)
    confusion = confusion_matrix(targets, predicted, count)
    scored, values = scores(confusion), metrics_of_confusion(confusion)
    overall = tuple(
        _metric(metric.title, values[metric.name], by_metric[metric.name])
        for metric in confusion_metrics()
        if metric.headline
    )
    f1 = resampled.f1.copy()
    for k in range(count):
        if len(np.unique(groups[targets == k])) < FEW_GROUPS:
            # as in `heritage evaluate`: an interval of so few objects would be too narrow
            f1[:, k] = np.nan
    each = {
        name: (_metric(name, float(scored.f1[k]), f1[:, k]), int(scored.support[k]))
        for k, name in enumerate(classes)
    }
    return CardMetrics(len(targets), int(groups.max()) + 1, overall, each)


def _metric(name: str, value: float, resampled: Floats) -> CardMetric:
    middle = interval(resampled)
    return CardMetric(name, value, middle.low, middle.high)


def _positions(names: list[str], classes: tuple[str, ...]) -> npt.NDArray[np.int64]:
    known = {name: k for k, name in enumerate(classes)}
    try:
        return np.array([known[name] for name in names], dtype=np.int64)
    except (KeyError, TypeError) as error:  # TypeError: a list
        raise CheckpointError(
            f"names a class that the network does not have: {error}",
            where=PREDICTIONS_FILE,
            remedy="restore the file, or train again",
        ) from error
