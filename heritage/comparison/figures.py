"""Figures of a comparison, with the published values of the thesis if the classes are the thesis's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from heritage.comparison.balancing import BalancingEffects
from heritage.comparison.comparison import Comparison
from heritage.comparison.published import Published
from heritage.core.numbers import with_interval
from heritage.core.option_types import FigureWidth
from heritage.reports.palette import FIRST, INK, PUBLISHED_INK, SECOND
from heritage.reports.style import (
    INCHES,
    SMALL,
    figure_style,
    label,
    legend_above,
    new_figure,
    text_sizes,
    write_figure,
)
from heritage.runs.description import RunDescription

_ROW = 0.2  # inches, at least
_AXIS = 0.5  # inches below the rows
_DIAMOND: dict[str, Any] = {
    "marker": "D", "linestyle": "", "color": PUBLISHED_INK, "markerfacecolor": "white", "markersize": 5,
}  # fmt: skip
_NAME_COLUMNS = {"single": 20, "double": 34}

Key = tuple[str, str]


class Estimate(NamedTuple):
    """A mean score with its interval."""

    mean: float
    low: float
    high: float


def write_figures(
    comparison: Comparison, folder: Path, width: FigureWidth = "double"
) -> list[tuple[Path, str]]:
    """Draw all figures as PNG and PDF.

    Returns:
        The PNG files with their captions.
    """
    figures = [
        (
            _settings,
            "settings.png",
            "All settings: mean macro-F1 with its 95 % interval over resamples of groups; dots are seeds.",
        ),
        (
            _balancing,
            "remedies.png",
            "Effects of balancing on macro-F1 and on the recall of the rarest class.",
        ),
        (
            _by(lambda one: (one.model, one.optimizer), "none"),
            "optimizers.png",
            "Accuracy by network and optimiser, without balancing.",
        ),
        (_models, "models.png", "The best accuracy of each network, without balancing."),
        (
            _by(lambda one: (one.model, one.balance), None),
            "balances.png",
            "Macro-F1 by network and balancing.",
        ),
    ]
    written = []
    for draw, name, caption in figures:
        path = folder / name
        if draw(comparison, path, width):
            written.append((path, caption))
        else:  # of an earlier comparison in this folder
            path.unlink(missing_ok=True)
            path.with_suffix(".pdf").unlink(missing_ok=True)
    return written


def _settings(comparison: Comparison, path: Path, width: FigureWidth) -> bool:
    names = [one.name for one in comparison.settings]
    with figure_style(names):
        figure, axes, places = _rows(names, width, [1] * len(names))
        for place, setting, one in zip(places, range(len(names)), comparison.settings, strict=True):
            bounds = comparison.interval(setting, "macro_f1")
            axes.plot([bounds.low, bounds.high], [place, place], color=FIRST, linewidth=5, alpha=0.3,
                      solid_capstyle="butt")  # fmt: skip
            axes.plot(one.values("macro_f1"), [place] * len(one.runs), "o", color=FIRST)
            axes.plot([one.mean("macro_f1")], [place], "|", color=INK, markersize=11)
        axes.set_xlabel("macro-F1")
        write_figure(figure, path, "All settings")
    return True


def _balancing(comparison: Comparison, path: Path, width: FigureWidth) -> bool:
    effects = BalancingEffects.of(comparison)
    pairs = [(index, baseline) for index in range(len(comparison.settings))
             if (baseline := effects.baseline(index)) is not None]  # fmt: skip
    if not pairs:
        return False
    names = [comparison.settings[index].name for index, _ in pairs]
    rarest = f"{effects.rarest} recall"
    scores = (("macro_f1", "macro-F1", FIRST, "o", -1), (f"recall/{effects.rarest}", rarest, SECOND, "s", 1))
    with figure_style([*names, rarest]):
        figure, axes, places = _rows(names, width, [2] * len(names))
        handles: list[Artist] = []
        for name, title, colour, marker, side in scores:
            for place, (index, baseline) in zip(places, pairs, strict=True):
                effect, at = effects.effect(index, baseline, name), place + side * _ROW / 2
                axes.plot([effect.interval.low, effect.interval.high], [at] * 2, color=colour, linewidth=2,
                          solid_capstyle="butt")  # fmt: skip
                face = colour if effect.significant else "white"
                axes.plot(effect.value, at, marker, color=colour, markerfacecolor=face, markersize=5)
            handles.append(Line2D([], [], color=colour, marker=marker, linewidth=2, label=title))
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set_xlabel("difference to training without balancing\n(filled: the interval excludes zero)")
        legend_above(figure, handles, ["macro-F1", label(rarest)])
        write_figure(figure, path, "Effects of balancing")
    return True


def _by(
    key: Callable[[RunDescription | Published], Key], balance: str | None
) -> Callable[[Comparison, Path, FigureWidth], bool]:
    """Return a function that draws the published value and ours for each pair of choices."""

    def draw(comparison: Comparison, path: Path, width: FigureWidth) -> bool:
        measure = "accuracy" if balance is not None else "macro_f1"
        theirs = {
            key(run): run.accuracy if measure == "accuracy" else run.rows["macro_avg"][2]
            for run in comparison.published
            if balance in (None, run.balance) and (balance is not None or run.optimizer == "adam")
            and (balance is not None or run.model == "efficientnet_b0")
        }  # fmt: skip
        ours = {}
        for place, one in reversed(list(enumerate(comparison.settings))):
            if balance in (None, one.runs[0].description.balance):
                bounds = comparison.interval(place, measure)
                ours[key(one.runs[0].description)] = Estimate(one.mean(measure), bounds.low, bounds.high)
        if not ours:
            return False
        beside_published(theirs, ours, measure.replace("_f1", "-F1"), path, width)
        return True

    return draw


def _models(comparison: Comparison, path: Path, width: FigureWidth) -> bool:
    theirs: dict[Key, float] = {}
    for run in comparison.published:
        if run.balance == "none":
            theirs["", run.model] = max(run.accuracy, theirs.get(("", run.model), 0))
    best: dict[Key, Estimate] = {}
    for place, one in enumerate(comparison.settings):
        if one.runs[0].description.balance != "none":
            continue
        key, bounds = ("", one.runs[0].description.model), comparison.interval(place, "accuracy")
        ours = Estimate(one.mean("accuracy"), bounds.low, bounds.high)
        best[key] = max(ours, best.get(key, ours))
    if not best:
        return False
    beside_published(theirs, best, "accuracy", path, width)
    return True


def beside_published(
    theirs: dict[Key, float], ours: dict[Key, Estimate], measure: str, path: Path, width: FigureWidth
) -> Figure:
    """Draw our values with their intervals, and published ones below them; numbers are right of the axes.

    Args:
        theirs: Published values by choices; empty if none apply.
        ours: Our values by choices.
        measure: The name of the measure.
        path: The PNG to write, and the PDF beside it.
        width: One or two columns.

    Returns:
        The figure.
    """
    keys = list(dict.fromkeys([*theirs, *ours]))
    outer = list(dict.fromkeys(name for name, _ in keys))
    keys.sort(key=lambda key: outer.index(key[0]))
    names = [" ".join(filter(None, key)) for key in keys]
    with figure_style(names):
        figure, axes, places = _rows(names, width, [(key in theirs) + (key in ours) for key in keys])
        numbers = []
        for place, key in zip(places, keys, strict=True):
            both = key in theirs and key in ours
            if key in ours:
                mean, low, high = ours[key]
                at = place - (_ROW / 2 if both else 0)
                errors = [[max(mean - low, 0)], [max(high - mean, 0)]]
                axes.errorbar([mean], [at], xerr=errors, fmt="o", color=FIRST, capsize=2.5, markersize=5)
                numbers.append((at, with_interval(mean, low, high)))
            if key in theirs:
                at = place + (_ROW / 2 if both else 0)
                axes.plot([theirs[key]], [at], **_DIAMOND)
                numbers.append((at, f"{theirs[key]:.3f}"))
        right = axes.secondary_yaxis("right")
        right.set_yticks([at for at, _ in numbers], [text for _, text in numbers], fontsize=SMALL)
        right.tick_params(length=0)
        right.spines["right"].set_visible(False)
        axes.set_xlabel(measure)
        if theirs:
            legend_above(
                figure,
                [
                    Line2D([], [], color=FIRST, marker="o", markersize=5),
                    Line2D([], [], **_DIAMOND),
                ],
                ["ours, with 95 % interval", "thesis"],
            )  # fmt: skip
        write_figure(figure, path, measure)
    return figure


def _rows(names: Sequence[str], width: FigureWidth, marks: Sequence[int]) -> tuple[Figure, Axes, list[float]]:
    """Return a figure with a row for each name, the first on top.

    Args:
        names: The names, broken into lines.
        width: One or two columns.
        marks: Values below each other in each row.

    Returns:
        The figure, its axes, and the middle of each row. The vertical unit is an inch, downwards.
    """
    labels = [label(name, columns=_NAME_COLUMNS[width], lines=5) for name in names]
    sizes = text_sizes(labels, SMALL)
    heights = [max(count * _ROW, high + 0.05) + 0.06 for count, (_, high) in zip(marks, sizes, strict=True)]
    total = sum(heights)
    places = [sum(heights[:row]) + height / 2 for row, height in enumerate(heights)]
    figure = new_figure(INCHES[width], total + _AXIS)
    axes = figure.subplots()
    axes.set_yticks(places, labels)
    axes.set_ylim(total, 0)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    return figure, axes, places
