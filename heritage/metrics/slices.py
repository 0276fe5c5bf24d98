"""Scores of parts of a test set: one museum, one period, one type of object at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from heritage.core.manifest import Manifest
from heritage.core.taxonomy import nearest
from heritage.errors import ConfigError
from heritage.metrics.bootstrap import (
    Interval,
    confusion_scores,
    confusion_terms,
    group_codes,
    interval,
    resampled_sums,
)
from heritage.metrics.classification import confusion_matrix

Targets = npt.NDArray[np.int64]

ERAS = (-2000, -1000, -500, 0, 300, 600, 900, 1200, 1500, 1800)
"""First years of the eras that objects are sorted into, as in the report of the data set."""

UNKNOWN, OTHERS = "unknown", "all others"
KNOWN = ("museum", "period", "type")
"""Parts that every data set may be asked for."""

_MOST = 12  # values of a column that get a row of their own


@dataclass(frozen=True, slots=True)
class Slice:
    """One part of a test set.

    Attributes:
        name: The museum, period or type.
        images: How many.
        accuracy: The part that is called right.
        interval: Its interval, over groups.
        macro_recall: Mean recall of the classes that the part has.
        classes: How many classes it has.
    """

    name: str
    images: int
    accuracy: float
    interval: Interval
    macro_recall: float
    classes: int


def require_columns(manifest: Manifest, names: Sequence[str]) -> None:
    """Refuse what no manifest knows; museum, period and type may be asked for where this one lacks them.

    Raises:
        ConfigError: There is no such column.
    """
    known = sorted({*KNOWN, *manifest.table.column_names})
    for name in names:
        if name not in known:
            near = nearest(name, known)
            raise ConfigError(
                f"the manifest has no column '{name}'",
                where="report.slices",
                remedy=f"did you mean {near}?" if near else f"use {', '.join(known)}",
            )


def slice_labels(manifest: Manifest, by: str) -> list[str] | None:
    """Return each image's museum, period or type; None where the manifest does not know it.

    Args:
        manifest: The images.
        by: ``museum``, ``period`` (era of `begin_year`, or the column `period`), ``type`` (the column `type`,
            or else `object_name`), or any column of the manifest.
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
    """Return the era of a year, as words."""
    place = int(np.searchsorted(ERAS, year, side="right"))
    if place == 0:
        return f"before {_year(ERAS[0])}"
    if place == len(ERAS):
        return f"from {_year(ERAS[-1])}"
    return f"{_year(ERAS[place - 1])} – {_year(ERAS[place])}"


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
    """Score each part of a test set by itself; eras in order of time, others by size.

    Args:
        labels: The part of each image, length N.
        targets: Shape (N,).
        predicted: Shape (N,).
        groups: Group of each image, length N.
        classes: K.
        resamples: Of groups, for each interval.
        seed: Of the resamples.
    """
    names, where = np.asarray(labels, dtype=object), np.asarray(groups, dtype=object)
    counted = Counter(labels)
    order = sorted(counted, key=lambda name: (name in (OTHERS, UNKNOWN), _era_place(name), -counted[name]))
    found = []
    for name in order:
        rows = np.flatnonzero(names == name)
        cells = confusion_matrix(targets[rows], predicted[rows], classes)
        single, _ = confusion_scores(cells[None].astype(np.float64))
        terms = confusion_terms(targets[rows], predicted[rows], classes)
        sums = resampled_sums(terms, group_codes(where[rows].tolist()), resamples, seed)
        drawn, _ = confusion_scores(sums.reshape(-1, classes, classes))
        support = cells.sum(axis=1)
        recall = np.diag(cells)[support > 0] / support[support > 0]
        found.append(
            Slice(
                name,
                len(rows),
                float(single["accuracy"][0]),
                interval(drawn["accuracy"]),
                float(recall.mean()),
                int((support > 0).sum()),
            )
        )
    return found


def _most_common(values: list[str]) -> list[str]:
    kept = {name for name, _ in Counter(values).most_common(_MOST)}
    return [value if value in kept else OTHERS for value in values]


def _era_place(name: str) -> int:
    names = [era(year) for year in (ERAS[0] - 1, *ERAS)]
    return names.index(name) if name in names else -1


def _year(year: int) -> str:
    return f"{-year} BCE" if year < 0 else f"{year or 1} CE"
