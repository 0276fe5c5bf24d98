"""Pictures of a run: the confusion matrix and the learning curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt

from heritage.paths import atomic_path

mpl.use("Agg")  # runs have no display

from matplotlib.figure import Figure

_INK, _GREY = "#1b1b1b", "#7a7a7a"
_TRAIN, _VAL = "#b5651d", "#1f5a7a"


def confusion_figure(confusion: npt.NDArray[np.int64], classes: Sequence[str], path: Path) -> None:
    """Draw counts, coloured by the part of each true class (row) that was called so (column).

    Args:
        confusion: Targets (rows) by predictions (columns), shape (K, K).
        classes: Their names, length K.
        path: The PNG to write.
    """
    share = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    side = 1.8 + 0.75 * len(classes)
    figure = Figure(figsize=(side + 0.9, side), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for row in range(len(classes)):
        for column in range(len(classes)):
            colour = "white" if share[row, column] > 0.55 else _INK
            axes.text(
                column, row - 0.12, f"{confusion[row, column]:,}", ha="center", va="center", color=colour
            )
            axes.text(column, row + 0.24, f"{share[row, column]:.0%}", ha="center", va="center", color=colour,
                      fontsize=7)  # fmt: skip
    axes.set_xticks(range(len(classes)), classes, rotation=35, ha="right")
    axes.set_yticks(range(len(classes)), classes)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    bar = figure.colorbar(image, ax=axes, shrink=0.8)
    bar.set_label("part of the true class")
    bar.outline.set_visible(False)
    save(figure, path)


def curves_figure(history: Sequence[Mapping[str, float]], path: Path) -> None:
    """Draw loss, accuracy and macro-F1, and the learning rate, over epochs.

    Args:
        history: One mapping an epoch, as ``history.csv`` holds them.
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
    rate.set_title("learning rate at the epoch's end")
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
