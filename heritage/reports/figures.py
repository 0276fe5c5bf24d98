"""Figures: confusion matrix, learning curves, contact sheets and saliency overlays."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from heritage.core.escaping import figure_text
from heritage.core.files import atomic_path
from heritage.core.image_io import Pixels
from heritage.metrics.confusion import ConfusionMatrix

mpl.use("Agg")  # runs have no display


_INK, _GREY = "#1b1b1b", "#7a7a7a"
_TRAIN, _VAL = "#b5651d", "#1f5a7a"


def confusion_figure(confusion: ConfusionMatrix, path: Path) -> None:
    """Draw a confusion matrix, coloured by the fraction of each true class.

    Args:
        confusion: The confusion matrix.
        path: The PNG to write.
    """
    share, counts = confusion.fractions, confusion.counts
    classes = [figure_text(name) for name in confusion.classes]
    side = 1.8 + 0.75 * len(classes)
    figure = Figure(figsize=(side + 0.9, side), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for row in range(len(classes)):
        for column in range(len(classes)):
            colour = "white" if share[row, column] > 0.55 else _INK
            axes.text(column, row - 0.12, f"{counts[row, column]:,}", ha="center", va="center", color=colour)
            axes.text(column, row + 0.24, f"{share[row, column]:.0%}", ha="center", va="center", color=colour,
                      fontsize=7)  # fmt: skip
    axes.set_xticks(range(len(classes)), classes, rotation=35, ha="right")
    axes.set_yticks(range(len(classes)), classes)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    bar = figure.colorbar(image, ax=axes, shrink=0.8)
    bar.set_label("fraction of the true class")
    bar.outline.set_visible(False)
    save(figure, path)


def curves_figure(history: Sequence[Mapping[str, float]], path: Path) -> None:
    """Draw loss, accuracy, macro-F1 and learning rate over epochs.

    Args:
        history: One mapping per epoch, as `heritage.runs.history.read_history` returns them.
        path: The PNG to write.
    """
    figure = Figure(figsize=(10.5, 3.2), layout="constrained")
    loss, quality, rate = figure.subplots(1, 3)
    _line(loss, history, "train/loss", "training", _TRAIN)
    _line(loss, history, "val/loss", "validation", _VAL)
    loss.set_title("loss")
    _line(quality, history, "val/accuracy", "accuracy", _GREY)
    _line(quality, history, "val/macro_f1", "macro-F1", _VAL)
    quality.set_title("validation")
    quality.set_ylim(0, 1)
    _line(rate, history, "lr", "", _INK)
    rate.set_title("learning rate at the end of the epoch")
    rate.set_ylim(bottom=0)
    for axes in (loss, quality, rate):
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        if axes.get_legend_handles_labels()[1]:
            axes.legend(frameon=False)
    save(figure, path)


def _line(axes: object, history: Sequence[Mapping[str, float]], key: str, label: str, colour: str) -> None:
    points = [(row["epoch"] + 1, row[key]) for row in history if key in row]
    if points:
        epochs, values = zip(*points, strict=True)
        marker = "o" if len(points) < 30 else ""
        axes.plot(epochs, values, label=label or None, color=colour, marker=marker, markersize=3)  # type: ignore[attr-defined]


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, atomically."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=150, format="png")


def contact_sheet(
    rows: Sequence[tuple[str, Sequence[Pixels]]], headings: Sequence[str], title: str, path: Path
) -> None:
    """Draw images in a grid.

    Args:
        rows: Label and images of each row, RGB, all of one size.
        headings: Headings of the columns; an empty one continues the one before.
        title: The title of the figure.
        path: The PNG to write.
    """
    figure = Figure(figsize=(1.15 * len(headings) + 1.2, 1.2 * len(rows) + 0.9), layout="constrained")
    grid = figure.subplots(len(rows), len(headings), squeeze=False)
    for line, (label, pictures) in zip(grid, rows, strict=True):
        for axes, picture in zip(line, pictures, strict=True):
            axes.imshow(picture, interpolation="nearest")
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_visible(False)
        line[0].set_ylabel(figure_text(label), rotation=0, ha="right", va="center")
    for axes, heading in zip(grid[0], headings, strict=True):
        axes.set_title(figure_text(heading), loc="left", fontsize=9)
    figure.suptitle(figure_text(title), x=0.01, ha="left", fontsize=11)
    save(figure, path)


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
