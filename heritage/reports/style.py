"""The mechanism of all figures: paper sizes, fonts, labels, legends, and writing as PNG and PDF.

A figure is drawn within `figure_style` and written by `write_figure`, which writes a PNG for pages and a
PDF of the same name for papers: vector graphics with embedded TrueType fonts, without a date, so that equal
data give equal bytes.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import re
import unicodedata
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from heritage.core.escaping import figure_text, one_line
from heritage.core.files import atomic_path
from heritage.core.option_types import FigureWidth
from heritage.reports.fonts import font_families

logging.getLogger("fontTools").setLevel(logging.WARNING)  # embedding a font logs each of its tables

INCHES: dict[FigureWidth, float] = {"single": 3.5, "double": 7.2}
"""Widths of figures: 89 mm and 183 mm, those of most journals."""

FONT_SIZE, SMALL, SMALLEST = 8.0, 7.0, 4.5
"""Points of text at the printed size; the smallest is that of numbers in the cells of large matrices."""

_DPI = 150  # of the PNG: 1,080 pixels for two columns
_MOST_LINES = 12  # that are wrapped: no label shows more
_LINES, _COLUMNS = 3, 26  # of a label, at most
_PARTS = re.compile(r"[^-/_–]*[-/_–]+|[^-/_–]+")  # of a word
_SETTINGS: dict[str, Any] = {
    "font.size": FONT_SIZE,
    "axes.titlesize": FONT_SIZE,
    "axes.labelsize": FONT_SIZE,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.linewidth": 0.6,
    "grid.alpha": 0.3,
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "hatch.linewidth": 0.5,
    "axes.unicode_minus": True,
    "pdf.fonttype": 42,  # TrueType: journals refuse Type 3
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
    "figure.max_open_warning": 0,
}


@contextlib.contextmanager
def figure_style(texts: Iterable[str] = ()) -> Iterator[None]:
    """Draw and write figures in one style.

    Args:
        texts: What other people wrote and the figure shows, such as class names: fonts are chosen for it.
    """
    settings = _SETTINGS | {"font.family": font_families(map(one_line, texts))}
    with mpl.rc_context(settings):  # type: ignore[arg-type]
        yield


def new_figure(width: float, height: float) -> Figure:
    """Return a figure of a size in inches whose parts are laid out when it is written."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def write_figure(figure: Figure, path: Path, title: str = "") -> list[Path]:
    """Write a figure as PNG and as PDF, each atomically.

    Args:
        figure: The figure, drawn within `figure_style`.
        path: The PNG; the PDF has the same name.
        title: The title in the PDF's properties.

    Returns:
        Both paths.
    """
    pdf = path.with_suffix(".pdf")
    with warnings.catch_warnings():
        # `heritage.reports.fonts` has counted them
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from")
        with atomic_path(path) as temporary:
            figure.savefig(temporary, dpi=_DPI, format="png")
        with atomic_path(pdf) as temporary:
            figure.savefig(
                temporary, format="pdf", metadata={"CreationDate": None, "Title": one_line(title) or None}
            )
    return [path, pdf]


def label(text: object, columns: int = _COLUMNS, lines: int = _LINES) -> str:
    """Return text as a label of a figure: wrapped, and without its middle where it is too long.

    Args:
        text: Any text, of one line.
        columns: Letters of a line; those of East Asia count as two.
        lines: Lines, at most.
    """
    text = one_line(text)
    wrapped, room = _wrapped(text, columns), columns * lines - 1
    while len(wrapped) > lines and room > 2:  # blanks at the ends of lines take room, too
        wrapped = _wrapped(_without_middle(text, room), columns)
        room -= 2
    return "\n".join(map(figure_text, wrapped[:lines]))


def text_sizes(labels: Sequence[str], size: float) -> list[tuple[float, float]]:
    """Return width and height of labels in inches, in the current style."""
    figure = new_figure(1, 1)
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    sizes = []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from")
        for words in labels:
            box = Text(0, 0, words, fontsize=size, figure=figure).get_window_extent(renderer)
            sizes.append((box.width / figure.dpi, box.height / figure.dpi))
    return sizes


def legend_above(
    figure: Figure, handles: Sequence[Artist], labels: Sequence[str], size: float = SMALL
) -> None:
    """Add a legend above the axes in as many columns as fit, and make the figure higher by its height."""
    if not handles:
        return
    sizes = text_sizes(labels, size)
    handle, room = 3.2 * size / 72, float(figure.get_figwidth()) - 0.15
    columns = next(count for count in range(len(labels), 0, -1) if count == 1 or room >= sum(
        handle + max(width for width, _ in part) for part in _columns(sizes, count)
    ))  # fmt: skip
    heights = [sum(height + 0.6 * size / 72 for _, height in part) for part in _columns(sizes, columns)]
    figure.set_figheight(float(figure.get_figheight()) + max(heights) + 0.1)
    figure.legend(
        handles, labels, loc="outside upper left", ncols=columns, fontsize=size, handlelength=1.6,
        handletextpad=0.5, columnspacing=1.0, borderpad=0.2, labelspacing=0.35, markerscale=1.3,
    )  # fmt: skip


def _columns(sizes: Sequence[tuple[float, float]], count: int) -> list[Sequence[tuple[float, float]]]:
    """Return the entries of each column, as Matplotlib distributes them: the first columns have one more."""
    least, more = divmod(len(sizes), count)
    starts = [k * least + min(k, more) for k in range(count + 1)]
    return [sizes[start:end] for start, end in itertools.pairwise(starts)]


def _wrapped(text: str, columns: int) -> list[str]:
    """Break text into lines: at blanks, in longer words after hyphens and slashes, never before a mark."""
    lines = [""]
    for word in text.split(" "):
        if len(lines) > _MOST_LINES:
            break
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if display_columns(longer) <= columns:
            lines[-1] = longer
            continue
        if lines[-1]:
            lines.append("")
        for part in _PARTS.findall(word):
            if display_columns(lines[-1] + part) > columns and lines[-1]:
                lines.append("")
            for cluster in _clusters(part):
                if display_columns(lines[-1] + cluster) > columns and lines[-1]:
                    lines.append("")
                lines[-1] += cluster
    return lines


def _without_middle(text: str, room: int) -> str:
    """Return the beginning and the end of text, so that names that differ in either remain different."""
    clusters = _clusters(text)
    room = max(room - 1, 2)
    head = "".join(_fitting(clusters, room * 2 // 3)).rstrip()
    tail = "".join(reversed(_fitting(clusters[::-1], room - room * 2 // 3))).lstrip()
    return f"{head}…{tail}"


def _fitting(clusters: Sequence[str], columns: int) -> Sequence[str]:
    """Return the first letters that fit into some columns."""
    used = 0
    for count, cluster in enumerate(clusters):
        used += display_columns(cluster)
        if used > columns:
            return clusters[:count]
    return clusters


def _clusters(text: str) -> list[str]:
    """Split text into letters with their combining marks and joiners."""
    clusters: list[str] = []
    for letter in text:
        joins = unicodedata.combining(letter) or unicodedata.category(letter) in ("Mn", "Me", "Mc", "Cf")
        if clusters and (joins or clusters[-1].endswith("\u200d")):
            clusters[-1] += letter
        else:
            clusters.append(letter)
    return clusters


def display_columns(text: str) -> int:
    """Return the width of text in columns of a terminal: marks have none, letters of East Asia two."""
    return sum(
        0 if unicodedata.category(letter) in ("Mn", "Me", "Cf")
        else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )  # fmt: skip
