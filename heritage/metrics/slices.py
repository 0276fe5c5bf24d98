"""Accuracy on slices of a test set: by museum, period, type of object or any column of the manifest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from heritage.core.manifest import Manifest
from heritage.core.taxonomy import suggestion
from heritage.errors import ConfigError
from heritage.metrics.bootstrap import (
    Interval,
    confusion_terms,
    group_codes,
    interval,
    resampled_sums,
)
from heritage.metrics.classification import ConfusionScores, confusion_matrix
from heritage.metrics.registry import metrics_of_confusion

Targets = npt.NDArray[np.int64]

ERAS = (-2000, -1000, -500, 0, 300, 600, 900, 1200, 1500, 1800)
"""First years of the eras, as in the report of the data set."""

UNKNOWN, OTHERS = "unknown", "all others"
KNOWN = ("museum", "period", "type")
"""Slices that may be configured for every data set, whether it has the columns or not."""

_MAX_VALUES = 12  # values of a column with a slice each; the rest is `OTHERS`


@dataclass(frozen=True, slots=True)
class Slice:
    """One slice of a test set.

    Attributes:
        name: The museum, period, type or value.
        images: Number of images.
        accuracy: Fraction of the images predicted correctly.
        interval: 95 % interval of the accuracy, over groups.
        macro_recall: Mean recall of the classes with images in the slice.
        classes: Number of these classes.
    """

    name: str
    images: int
    accuracy: float
    interval: Interval
    macro_recall: float
    classes: int


def require_columns(manifest: Manifest, names: Sequence[str]) -> None:
    """Check that slices are columns of the manifest; those of `KNOWN` may be missing from it.

    Raises:
        ConfigError: There is no such column.
    """
    known = sorted({*KNOWN, *manifest.table.column_names})
    for name in names:
        if name not in known:
            raise ConfigError(
                f"the manifest has no column '{name}'",
                where="report.slices",
                remedy=suggestion(name, known),
            )


def slice_labels(manifest: Manifest, by: str) -> list[str] | None:
    """Return the slice of each image, length N; None if the manifest lacks the column.

    Args:
        manifest: The images.
        by: ``museum``, ``period`` (the era of ``begin_year``, or the column ``period``), ``type`` (the column
            ``type`` or ``object_name``), or any other column.
    """
    columns = {"period": ("begin_year", "period"), "type": ("type", "object_name")}.get(by, (by,))
    for column in columns:
        values = manifest.column(column)
        if any(value not in (None, "") for value in values):
            if column == "begin_year":
                return [UNKNOWN if year is None else era(int(year)) for year in values]
            if column == "museum":
                return [manifest.museum(code or UNKNOWN).name for code in values]
            return _most_common([str(value or UNKNOWN) for value in values])
    return None


def era(year: int) -> str:
    """Return the name of a year's era, for example ``300 CE – 600 CE``."""
    index = int(np.searchsorted(ERAS, year, side="right"))
    if index == 0:
        return f"before {_year(ERAS[0])}"
    if index == len(ERAS):
        return f"from {_year(ERAS[-1])}"
    return f"{_year(ERAS[index - 1])} – {_year(ERAS[index])}"


def slices(
    labels: Sequence[str],
    targets: Targets,
    predicted: Targets,
    groups: Sequence[str],
    *,
    classes: int,
    resamples: int,
    seed: int = 0,
) -> list[Slice]:
    """Score each slice of a test set; eras in chronological order, others by size.

    Args:
        labels: The slice of each image, length N.
        targets: Shape (N,).
        predicted: Shape (N,).
        groups: The group of each image, length N.
        classes: Number of classes, K.
        resamples: Number of resamples of groups for each interval.
        seed: Random seed of the resamples.
    """
    names, group_names = np.asarray(labels, dtype=object), np.asarray(groups, dtype=object)
    sizes = Counter(labels)
    order = sorted(sizes, key=lambda name: (name in (OTHERS, UNKNOWN), _era_index(name), -sizes[name]))
    table = []
    for name in order:
        rows = np.flatnonzero(names == name)
        cells = confusion_matrix(targets[rows], predicted[rows], classes)
        values = metrics_of_confusion(cells)
        terms = confusion_terms(targets[rows], predicted[rows], classes)
        sums = resampled_sums(terms, group_codes(group_names[rows].tolist()), resamples, seed)
        drawn = ConfusionScores(sums.reshape(-1, classes, classes))
        table.append(
            Slice(
                name,
                len(rows),
                values["accuracy"],
                interval(drawn.accuracy),
                values["balanced_accuracy"],
                int((cells.sum(axis=1) > 0).sum()),
            )
        )
    return table


def _most_common(values: list[str]) -> list[str]:
    kept = {name for name, _ in Counter(values).most_common(_MAX_VALUES)}
    return [value if value in kept else OTHERS for value in values]


def _era_index(name: str) -> int:
    names = [era(year) for year in (ERAS[0] - 1, *ERAS)]
    return names.index(name) if name in names else -1


def _year(year: int) -> str:
    return f"{-year} BCE" if year < 0 else f"{year or 1} CE"
