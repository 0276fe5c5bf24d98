"""The numbers behind the report's charts; the template draws them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from heritage.manifest import Manifest

_BINS = 32
_ERAS = (-2000, -1000, -500, 0, 300, 600, 900, 1200, 1500, 1800)


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its height as a part of the highest, and what it stands for."""

    part: float
    text: str


@dataclass(frozen=True, slots=True)
class Histogram:
    """A histogram: what it shows, its bars from left to right, and its ends."""

    title: str
    unit: str
    bars: tuple[Bar, ...]
    low: str
    high: str
    median: str


@dataclass(frozen=True, slots=True)
class Cell:
    """A count in a table, and how dark to draw it."""

    count: int
    part: float


def histogram(
    title: str, unit: str, values: npt.NDArray[Any], limits: tuple[float, float] | None = None
) -> Histogram:
    """Count values in equal bins; without limits up to the 99th percentile, what is above in the last bin."""
    low, high = limits or (float(values.min()), float(np.percentile(values, 99)))
    high = max(high, low + 1)
    counts, edges = np.histogram(np.clip(values, low, high), bins=_BINS, range=(low, high))
    top = max(1, int(counts.max()))
    bars = tuple(
        Bar(count / top, f"{start:,.0f} to {end:,.0f}: {count:,} images")
        for count, start, end in zip(counts.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    )
    above = "+" if values.max() > high else ""
    ends = (f"{low:,.0f}", f"{high:,.0f}{above}", f"{np.median(values):,.0f}")
    return Histogram(title, unit, bars, *ends)


def by_period(kept: Manifest) -> dict[str, Any]:
    """Count classes by era; nothing where no year is known."""
    years = kept.column("begin_year")
    if not any(year is not None for year in years):
        return {}
    counts = np.zeros((len(kept.classes), len(_ERAS) + 2), dtype=np.int64)
    for target, year in zip(kept.targets.tolist(), years, strict=True):
        counts[target, -1 if year is None else np.searchsorted(_ERAS, year, side="right")] += 1
    top = np.maximum(counts.max(axis=1, keepdims=True), 1)
    starts = [_year(era) for era in _ERAS]
    heads = [f"before {starts[0]}", *(f"{a} – {b}" for a, b in itertools.pairwise(starts)),
             f"from {starts[-1]}", "unknown"]  # fmt: skip
    rows = {
        name: [Cell(int(count), float(count / top[row, 0])) for count in counts[row]]
        for row, name in enumerate(kept.classes)
    }
    return {"heads": heads, "rows": rows}


def _year(year: int) -> str:
    return f"{-year} BCE" if year < 0 else f"{year or 1} CE"
