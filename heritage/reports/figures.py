"""Figures of runs: confusion matrix, learning curves, contact sheets and saliency overlays."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from heritage.core.image_io import Pixels
from heritage.core.numbers import percent
from heritage.core.option_types import FigureWidth
from heritage.metrics.confusion import ConfusionMatrix
from heritage.reports.palette import DASHES, FIRST, FRACTIONS, INK, SECOND, SPLITS
from heritage.reports.style import (
    FONT_SIZE,
    INCHES,
    SMALL,
    SMALLEST,
    figure_style,
    label,
    legend_above,
    new_figure,
    text_sizes,
    write_figure,
)

_BAR = 0.75  # inches of a colour bar with its labels
_AXIS_LABEL = 0.32  # inches of the label of an axis, with margins
_TICKS = 0.06  # inches between labels and matrix
_LINE = 1.2  # height of a line of text, of its font size
_LARGEST_CELL = 0.85  # inches
_LABELS = ((3, 26), (2, 26), (1, 26), (1, 20), (1, 14))  # lines and columns, the first that fit
_WITH_PERCENTAGES = 0.42  # inches of a cell that has room for a count and its percentage
_PAGE = 8.6  # inches of the rows of a contact sheet, so that it is no longer than a page
_ZEROS = 12  # classes of the largest matrix whose zeros are written


def confusion_figure(confusion: ConfusionMatrix, path: Path, width: FigureWidth = "double") -> None:
    """Draw a confusion matrix, coloured by the fraction of each true class.

    Args:
        confusion: The confusion matrix.
        path: The PNG to write, and the PDF beside it.
        width: One or two columns; a matrix of many classes is larger.
    """
    with figure_style(confusion.classes):
        size = SMALL if len(confusion.classes) <= 16 else 5.5
        inches, cell, names, wide = _cell_size(confusion.classes, INCHES[width], size)
        side = cell * len(names)
        below = max(height for _, height in text_sizes(wide, size)) if wide else max(
            across for across, _ in text_sizes(names, size)
        )  # fmt: skip
        figure = new_figure(inches, side + below + _TICKS + _AXIS_LABEL + 0.06)
        axes = figure.subplots()
        image = axes.imshow(confusion.fractions, cmap=FRACTIONS, vmin=0, vmax=1)
        _numbers(axes, confusion, cell)
        axes.set_xticks(range(len(names)), wide or names, rotation=0 if wide else 90, fontsize=size)
        axes.set_yticks(range(len(names)), names, fontsize=size)
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        bar = figure.colorbar(image, ax=axes, shrink=0.9, aspect=28, pad=0.02)
        bar.set_label("fraction of the true class")
        bar.outline.set_visible(False)
        write_figure(figure, path, "Confusion matrix")


def _cell_size(
    classes: Sequence[str], width: float, size: float
) -> tuple[float, float, list[str], list[str]]:
    """Return the figure's width, the side of a cell, and labels of rows and of columns.

    Labels of columns are empty if they do not fit side by side; those of rows are then turned.
    """
    for lines, columns in _LABELS:
        names = [label(name, columns, lines) for name in classes]
        beside = max(across for across, _ in text_sizes(names, size))
        room = width - beside - _TICKS - _AXIS_LABEL - _BAR
        least = lines * _LINE * size / 72  # the height of a label
        cell = min(max(room / len(classes), least), _LARGEST_CELL)
        if room / len(classes) >= least:
            break
    inches = cell * len(classes) + beside + _TICKS + _AXIS_LABEL + _BAR
    columns = max(int((cell * 72 - 3) / (0.6 * size)), 1)
    wide = [label(name, columns, lines=2) for name in classes]
    whole = all("".join(new.split()) == "".join(label(old, 10**6).split())
                for new, old in zip(wide, classes, strict=True))  # fmt: skip
    fits = whole and all(across < cell - 0.04 for across, _ in text_sizes(wide, size))
    return inches, cell, names, wide if fits else []


def _numbers(axes: Axes, confusion: ConfusionMatrix, cell: float) -> None:
    """Write counts, and percentages where there is room for them, into the cells."""
    counts, fractions = confusion.counts, confusion.fractions
    digits = max(len(f"{int(counts.max(initial=0)):,}"), 2)
    size = min(FONT_SIZE, cell * 72 * 0.9 / (0.64 * digits), cell * 72 * 0.75)
    if size < SMALLEST:
        return
    percentages = cell >= _WITH_PERCENTAGES
    image = mpl.colormaps[FRACTIONS]
    for row, column in np.ndindex(counts.shape):
        count, fraction = int(counts[row, column]), float(fractions[row, column])
        if not count and len(counts) > _ZEROS:
            continue
        colour = "white" if np.dot(image(fraction)[:3], [0.299, 0.587, 0.114]) < 0.5 else INK
        axes.text(column, row - (0.13 if percentages else 0), f"{count:,}", ha="center", va="center",
                  color=colour, fontsize=size)  # fmt: skip
        if percentages:
            axes.text(column, row + 0.22, percent(fraction, 0), ha="center", va="center", color=colour,
                      fontsize=min(size, 6))  # fmt: skip


def curves_figure(history: Sequence[Mapping[str, float]], path: Path, width: FigureWidth = "double") -> None:
    """Draw loss, accuracy, macro-F1 and the learning rate at the end of each epoch.

    Args:
        history: One mapping per epoch, as `heritage.runs.history.read_history` returns them.
        path: The PNG to write, and the PDF beside it.
        width: One or two columns; in one the parts are below each other.
    """
    with figure_style():
        beside = width == "double"
        figure = new_figure(INCHES[width], 2.3 if beside else 5.6)
        loss, quality, rate = figure.subplots(*((1, 3) if beside else (3, 1)))
        _line(loss, history, "train/loss", "training", 1)
        _line(loss, history, "val/loss", "validation", 0)
        loss.set_ylabel("loss")
        _line(quality, history, "val/accuracy", "accuracy", 1)
        _line(quality, history, "val/macro_f1", "macro-F1", 0)
        quality.set_ylabel("validation score")
        quality.set_ylim(0, 1.02)
        _line(rate, history, "lr", "", 0)
        rate.set_ylabel("learning rate")
        rate.set_ylim(bottom=0)
        for axes in (loss, quality, rate):
            axes.set_xlabel("epoch")
            if len(history) == 1:
                axes.set_xlim(history[0]["epoch"] + 0.5, history[0]["epoch"] + 1.5)
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            axes.grid()
            if axes.get_legend_handles_labels()[1]:
                axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2, borderpad=0.2)
        write_figure(figure, path, "Learning curves")


def _line(axes: Axes, history: Sequence[Mapping[str, float]], key: str, name: str, series: int) -> None:
    points = [(row["epoch"] + 1, row[key]) for row in history if key in row]
    if points:
        epochs, values = zip(*points, strict=True)
        axes.plot(
            epochs, values, label=name or None, color=(FIRST, SECOND)[series], linestyle=DASHES[series],
            marker="os"[series] if len(points) < 30 else "",
        )  # fmt: skip


def range_test_figure(rates: Sequence[float], losses: Sequence[float], rate: float, path: Path) -> None:
    """Draw the loss of a learning-rate range test over the rate.

    Args:
        rates: Learning rate of each step.
        losses: Smoothed training loss of each step.
        rate: The suggested rate.
        path: The PNG to write, and the PDF beside it.
    """
    with figure_style():
        figure = new_figure(INCHES["single"], 2.7)
        axes = figure.subplots()
        axes.plot(rates, losses, color=FIRST)
        axes.axvline(rate, color=SECOND, linestyle=DASHES[1], label=f"suggestion: {rate:.2g}")
        axes.set_xscale("log")
        axes.set_xlabel("learning rate")
        axes.set_ylabel("training loss, smoothed")
        axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), borderpad=0.2)
        write_figure(figure, path, "Learning-rate range test")


def counts_figure(counts: Mapping[str, Sequence[int]], splits: Sequence[str], path: Path) -> None:
    """Draw the number of images of each class as bars, by split.

    Args:
        counts: Images of each split, by class.
        splits: The splits, at most three.
        path: The PNG to write, and the PDF beside it.
    """
    names = [label(name, lines=2) for name in counts]
    with figure_style(counts):
        row = max(0.2, *(height + 0.08 for _, height in text_sizes(names, SMALL)))
        figure = new_figure(INCHES["double"], 0.5 + row * len(names))
        axes = figure.subplots()
        places = np.arange(len(names))
        left = np.zeros(len(names))
        handles = []
        for column, (colour, hatch) in enumerate(SPLITS[: len(splits)]):
            values = np.array([of_class[column] for of_class in counts.values()])
            axes.barh(places, values, 0.7, left=left, color=colour, hatch=hatch, edgecolor="white")
            handles.append(Patch(facecolor=colour, hatch=hatch, edgecolor="white"))
            left += values
        axes.set_yticks(places, names)
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("images")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="x")
        legend_above(figure, handles, list(splits))
        write_figure(figure, path, "Images by class and split")


def contact_sheet(
    rows: Sequence[tuple[str, Sequence[Pixels]]],
    headings: Sequence[str],
    title: str,
    path: Path,
    width: FigureWidth = "double",
) -> None:
    """Draw images in a grid.

    Args:
        rows: Label and images of each row, RGB, all of one size.
        headings: Headings of the columns; an empty one continues the one before.
        title: The title of the figure.
        path: The PNG to write, and the PDF beside it.
        width: One or two columns, if the cells are then at least 0.45 inches wide.
    """
    names = [label(name, columns=18, lines=4) for name, _ in rows]
    with figure_style([*(name for name, _ in rows), *headings, title]):
        beside = max((across for across, _ in text_sizes(names, SMALL)), default=0.0)
        across = (INCHES[width] - beside - 0.3) / max(len(headings), 1)
        cell = max(min(across, _PAGE / max(len(rows), 1), 1.3), 0.45)
        tops = [
            label(heading, columns=max(int(cell * 72 / (0.55 * SMALL)), 6), lines=3) for heading in headings
        ]
        top = max((height for _, height in text_sizes(tops, SMALL)), default=0.0)
        figure = new_figure(cell * len(headings) + beside + 0.3, cell * len(rows) + top + 0.6)
        grid = figure.subplots(len(rows), len(headings), squeeze=False)
        for line, name, (_, pictures) in zip(grid, names, rows, strict=True):
            for axes, picture in zip(line, pictures, strict=True):
                axes.imshow(picture, interpolation="nearest")
                axes.set_xticks([])
                axes.set_yticks([])
                axes.spines[:].set_visible(False)
            line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=SMALL)
        for axes, heading in zip(grid[0] if rows else [], tops, strict=bool(rows)):
            axes.set_title(heading, loc="left", fontsize=SMALL)
        letters = int(figure.get_figwidth() * 72 / (0.58 * FONT_SIZE))
        figure.suptitle(label(title, columns=letters), x=0.01, ha="left", fontsize=FONT_SIZE)
        write_figure(figure, path, title)


_COLOURS = (np.asarray(mpl.colormaps["inferno"](np.arange(256)))[:, :3] * 255).astype(np.float64)


def overlay(picture: Pixels, saliency: npt.NDArray[np.floating]) -> Pixels:
    """Draw a saliency map over an image in grey.

    The map is scaled to its 99th percentile, so that a single bright pixel does not darken the rest.

    Args:
        picture: RGB, (S, S, 3).
        saliency: From 0 to 1, (S, S).

    Returns:
        RGB, (S, S, 3).
    """
    top = max(float(np.quantile(saliency, 0.99)), 1e-6)
    saliency = np.clip(saliency / top, 0, 1)
    grey = picture @ np.array([0.299, 0.587, 0.114])
    base = np.repeat(grey[:, :, None], 3, axis=2) * 0.75 + 40
    colour = _COLOURS[np.clip(saliency * 255, 0, 255).astype(np.int64)]
    share = (0.12 + 0.6 * np.clip(saliency, 0, 1))[:, :, None]
    mixed: Pixels = np.clip(base * (1 - share) + colour * share, 0, 255).astype(np.uint8)
    return mixed


def as_data_url(saliency: npt.NDArray[np.floating[Any]], side: int = 256) -> str:
    """Return a saliency map (H, W) as the ``data:`` URL of a PNG that is transparent where the map is 0."""
    smooth = cv2.resize(saliency.astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    colour = cv2.applyColorMap((smooth * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    alpha = (np.sqrt(smooth) * 200).astype(np.uint8)
    done, png = cv2.imencode(".png", np.dstack([colour, alpha]))
    if not done:
        raise RuntimeError("OpenCV cannot write a PNG")
    return "data:image/png;base64," + base64.b64encode(png.tobytes()).decode()
