"""Charts of a network's confidence: reliability diagram, and precision over coverage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from heritage.core.numbers import percent
from heritage.metrics.calibration import Reliability, RiskCoverage
from heritage.reports.palette import DASHES, FIRST, INK, RULE, SECOND
from heritage.reports.style import INCHES, figure_style, legend_above, new_figure, write_figure

_HEIGHT = 2.9  # inches
_LARGEST_DOT = 12.0  # points, of a bin that has all images
_MAX_POINTS = 400


def reliability_figure(before: Reliability, after: Reliability | None, path: Path) -> None:
    """Draw accuracy over confidence; the areas of the dots are proportional to the number of images.

    Args:
        before: Bins of the probabilities without a temperature.
        after: Those of the probabilities with one, if any.
        path: The PNG to write, and the PDF beside it.
    """
    with figure_style():
        figure, axes = _axes("confidence", "accuracy")
        axes.plot([0, 1], [0, 1], color=RULE, linestyle=":")
        shown = [("without temperature", SECOND, 1, "s", before)]
        if after is not None:
            shown.append(("with temperature", FIRST, 0, "o", after))
        handles = []
        for name, colour, series, marker, bins in shown:
            used = np.flatnonzero(bins.images)
            x, y = bins.confidence[used], bins.accuracy[used]
            area = (3 + _LARGEST_DOT * np.sqrt(bins.images[used] / max(int(bins.images.sum()), 1))) ** 2
            axes.scatter(x, y, s=area, color=colour, marker=marker, alpha=0.8, linewidths=0, zorder=3)
            handles += axes.plot([], [], color=colour, linestyle=DASHES[series], marker=marker, label=name)
            axes.plot(x, y, color=colour, linestyle=DASHES[series])
        axes.set_ylim(-0.02, 1.02)
        axes.set_xlim(-0.02, 1.02)
        legend_above(figure, handles, [name for name, *_ in shown])
        write_figure(figure, path, "Reliability diagram")


def coverage_figure(
    curve: RiskCoverage, target: float | None, point: tuple[float, float] | None, path: Path
) -> None:
    """Draw precision over coverage.

    Args:
        curve: The risk-coverage curve.
        target: The target precision, drawn as a dotted line.
        point: Coverage and precision at the threshold, drawn as a square.
        path: The PNG to write, and the PDF beside it.
    """
    step = max(1, len(curve.coverage) // _MAX_POINTS)
    indices = sorted({*range(0, len(curve.coverage), step), len(curve.coverage) - 1})
    # the precision of the first few predictions is noise
    indices = [index for index in indices if curve.coverage[index] >= 0.02] or indices
    lowest = min(float(curve.precision[indices].min()), target or 1.0, 0.9)
    with figure_style():
        figure, axes = _axes("coverage", "precision")
        handles = axes.plot(curve.coverage[indices], curve.precision[indices], color=FIRST, label="precision")
        if target is not None:
            handles += [axes.axhline(target, color=INK, linestyle=":", label=f"target, {percent(target, 0)}")]
        if point is not None and point[1] == point[1]:
            handles += axes.plot(
                *([value] for value in point), "s", color=SECOND, markersize=6, label="at the threshold"
            )
        axes.set_xlim(0, 1.02)
        axes.set_ylim(max(0.0, np.floor(lowest * 10) / 10 - 0.1), 1.01)
        legend_above(figure, handles, [str(handle.get_label()) for handle in handles])
        write_figure(figure, path, "Precision over coverage")


def _axes(x: str, y: str) -> tuple[Figure, Axes]:
    figure = new_figure(INCHES["single"], _HEIGHT)
    axes = figure.subplots()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid()
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(xmax=1))
    return figure, axes
