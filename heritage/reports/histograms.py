"""Histograms of a data set's images: bars of a page, and a figure as PNG and PDF."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.ticker import MaxNLocator

from heritage.core.numbers import counted
from heritage.reports.palette import DASHES, FIRST, INK
from heritage.reports.style import INCHES, figure_style, new_figure, write_figure

_BINS = 32


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar: its height as a fraction of the highest one, and its tooltip."""

    fraction: float
    text: str


@dataclass(frozen=True, slots=True)
class Histogram:
    """The number of images in equal bins of a quantity.

    Attributes:
        title: The quantity.
        unit: Its unit.
        counts: Images of each bin, (B,).
        edges: The limits of the bins, (B + 1,).
        median: The median of all values.
        beyond: Whether the last bin has values above its upper limit, too.
    """

    title: str
    unit: str
    counts: tuple[int, ...]
    edges: tuple[float, ...]
    median: float
    beyond: bool

    @property
    def bars(self) -> list[Bar]:
        """The bars of a page from left to right."""
        top = max(1, *self.counts)
        return [
            Bar(count / top, f"{start:,.0f} to {end:,.0f}: {counted(count, 'image')}")
            for count, (start, end) in zip(self.counts, itertools.pairwise(self.edges), strict=True)
        ]

    @property
    def low(self) -> str:
        """The label of the axis's left end."""
        return f"{self.edges[0]:,.0f}"

    @property
    def high(self) -> str:
        """The label of the axis's right end."""
        return f"{self.edges[-1]:,.0f}{'+' if self.beyond else ''}"


def histogram(
    title: str, unit: str, values: npt.NDArray[Any], limits: tuple[float, float] | None = None
) -> Histogram:
    """Count values in equal bins; without limits, values above the 99th percentile are in the last one.

    Args:
        title: The quantity.
        unit: Its unit.
        values: Shape (N,), N at least 1.
        limits: The lower and the upper limit.
    """
    low, high = limits or (float(values.min()), float(np.percentile(values, 99)))
    high = max(high, low + 1)
    counts, edges = np.histogram(np.clip(values, low, high), bins=_BINS, range=(low, high))
    return Histogram(
        title, unit, tuple(counts.tolist()), tuple(edges.tolist()), float(np.median(values)),
        bool(values.max() > high),
    )  # fmt: skip


def histograms_figure(histograms: Sequence[Histogram], path: Path) -> None:
    """Draw histograms beside each other.

    Args:
        histograms: The histograms, at least one.
        path: The PNG to write, and the PDF beside it.
    """
    with figure_style():
        figure = new_figure(INCHES["double"], 2.2)
        for axes, one in zip(figure.subplots(1, len(histograms), squeeze=False)[0], histograms, strict=True):
            axes.stairs(one.counts, one.edges, fill=True, color=FIRST)
            line = axes.axvline(one.median, color=INK, linestyle=DASHES[1], linewidth=1)
            axes.legend(
                [line],
                [f"median {one.median:,.0f}"],
                loc="lower left",
                bbox_to_anchor=(-0.02, 1.0),
                borderpad=0.2,
            )
            axes.set_xlim(one.edges[0], one.edges[-1])
            axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
            axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
            more = "; higher ones in the last bar" if one.beyond else ""
            axes.set_xlabel(f"{one.title}\n({one.unit}{more})")
            axes.grid(axis="y")
        figure.axes[0].set_ylabel("images")
        write_figure(figure, path, "Sizes and brightness")
