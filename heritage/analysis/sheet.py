"""A contact sheet: pictures in rows, so that a person sees what the network sees."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from heritage.analysis.figures import save
from heritage.picture import Pixels


def contact_sheet(
    rows: Sequence[tuple[str, Sequence[Pixels]]], headings: Sequence[str], title: str, path: Path
) -> None:
    """Draw pictures in a grid.

    Args:
        rows: A label and the pictures of each row, RGB, all of one size.
        headings: What stands above the columns; an empty one continues the one before.
        title: What stands above it all.
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
        line[0].set_ylabel(label, rotation=0, ha="right", va="center")
    for axes, heading in zip(grid[0], headings, strict=True):
        axes.set_title(heading, loc="left", fontsize=9)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    save(figure, path)
