"""A table of text that is written as Markdown, CSV and LaTeX."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from heritage.core.csv_files import csv_text
from heritage.core.escaping import latex, markdown, markdown_row
from heritage.core.files import write_text
from heritage.metrics.confusion import ConfusionMatrix

TABLES_FOLDER = "tables"

_PACKAGES = {
    "booktabs": r"class names in other scripts than Latin need XeLaTeX or LuaLaTeX",
    "graphicx": r"for \rotatebox and \resizebox",
}
"""LaTeX packages of tables, and a remark."""
_PAGE = 345.0  # points of a line in LaTeX's article
_LONG_NAME = 150.0  # points of a row's or a rotated column's name on one line, at 10 points
_LINE = 12.0  # points between lines of a rotated name, at 10 points
_MINUS = re.compile(r"(?<![^\s(])-(?=\d)")


class _Layout(NamedTuple):
    """Command and size in points of the font, space beside cells in points, whether names are rotated."""

    command: str
    size: float
    gap: float
    rotated: bool


_LAYOUTS = (
    _Layout("", 10, 6, rotated=False),
    _Layout(r"\footnotesize", 8, 4, rotated=False),
    _Layout(r"\footnotesize", 8, 4, rotated=True),
    _Layout(r"\scriptsize", 7, 2, rotated=False),
    _Layout(r"\scriptsize", 7, 2, rotated=True),
)
_NARROW, _USUAL, _CAPITAL, _BROAD = 3.6, 5.1, 7.3, 8.5  # points of a letter at 10 points


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes:
        key: Name of its files and its LaTeX label.
        title: Caption.
        head: Column names.
        rows: The cells of each row, as many as there are columns.
        note: A remark below the table.
        rules: Rows above which LaTeX draws a line, such as that of averages.
    """

    key: str
    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    rules: Sequence[int] = ()

    def markdown(self) -> str:
        """Return the table in Markdown, below its caption."""
        rule = ["---", *["---:"] * (len(self.head) - 1)]
        lines = [f"**{markdown(self.title)}**", "", markdown_row(self.head), f"| {' | '.join(rule)} |"]
        lines += [markdown_row(row) for row in self.rows]
        return "\n".join([*lines, "", *([markdown(self.note), ""] if self.note else [])])

    def csv(self) -> str:
        """Return the table as CSV."""
        return csv_text(self.head, self.rows)

    def latex(self) -> str:
        """Return the table in LaTeX; it needs the package booktabs, and graphicx if it is wide.

        The first of these that is estimated to fit a page is taken: the normal font, a smaller one with
        narrower columns, names of columns that are rotated, an even smaller font. A table that fits in none
        of them is scaled. Long names of rows and of rotated columns are wrapped. The note is set below.
        """
        layout, scaled = self._layout()
        head = [_wrapped(self.head[0], layout, "t"), *map(latex, self.head[1:])]
        if layout.rotated:
            head[1:] = [rf"\rotatebox{{90}}{{{_wrapped(name, layout, 'c')}}}" for name in self.head[1:]]
        packages = ["booktabs", *["graphicx"] * (layout.rotated or scaled)]
        lines = [rf"% \usepackage{{{name}}}  {_PACKAGES[name]}" for name in packages]
        lines += [r"\begin{table}", r"\centering", rf"\caption{{{latex(self.title)}}}"]
        lines += [rf"\label{{tab:{re.sub(r'[^A-Za-z0-9.:-]+', '-', self.key)}}}\smallskip"]
        if layout.command:
            lines += [layout.command, rf"\setlength{{\tabcolsep}}{{{layout.gap:.0f}pt}}"]
        lines += [r"\resizebox{\linewidth}{!}{%"] * scaled
        lines += [rf"\begin{{tabular}}{{@{{}}l{'r' * (len(self.head) - 1)}@{{}}}}", r"\toprule"]
        lines += [f"{' & '.join(head)} \\\\", r"\midrule"]
        for place, row in enumerate(self.rows):
            lines += [r"\midrule"] * (place in self.rules)
            lines.append(f"{' & '.join([_wrapped(row[0], layout, 't'), *map(_cell, row[1:])])} \\\\")
        lines += [r"\bottomrule", r"\end{tabular}" + "}" * scaled]
        if self.note:
            lines.append(rf"\par\smallskip\footnotesize {latex(self.note)}")
        lines.append(r"\end{table}")
        return "\n".join(lines) + "\n"

    def _layout(self) -> tuple[_Layout, bool]:
        """Return the first layout in which the table fits a page, and whether the table must be scaled."""
        for layout in _LAYOUTS:
            if self._width(layout) <= _PAGE:
                return layout, False
        upright, rotated = _LAYOUTS[-2:]
        return (rotated if self._width(rotated) < 0.8 * self._width(upright) else upright), True

    def _width(self, layout: _Layout) -> float:
        """Return the estimated width in points."""
        cells = [max(map(_points, column), default=0.0) for column in zip(*self.rows, strict=True)]
        cells = cells or [0.0] * len(self.head)
        names = [_points(name) for name in self.head]
        if layout.rotated:
            names = [math.ceil(name / _LONG_NAME) * _LINE for name in names]
        widths = [min(self._first(), _LONG_NAME), *map(max, cells[1:], names[1:])]
        return sum(widths) * layout.size / 10 + 2 * layout.gap * (len(widths) - 1)

    def _first(self) -> float:
        """Return the width of the first column in points, at 10 points."""
        return max(_points(cell) for cell in (self.head[0], *(row[0] for row in self.rows)))


def _points(text: str) -> float:
    """Return the width of text in Computer Modern at 10 points, a little more rather than less."""
    return sum(_NARROW if letter in "fijlrt.,:;'()[]|! " else
               _BROAD if letter in "mwMW%±−–—" or unicodedata.east_asian_width(letter) in "WF" else
               _CAPITAL if letter.isupper() else _USUAL for letter in text)  # fmt: skip


def _wrapped(name: str, layout: _Layout, place: str) -> str:
    """Return a name in LaTeX: a long one in lines of which the first (t) or the middle (c) is the base."""
    if _points(name) <= _LONG_NAME:
        return _cell(name)
    width = f"{_LONG_NAME * layout.size / 10:.0f}pt"
    return rf"\parbox[{place}]{{{width}}}{{\raggedright {_cell(name)}\strut}}"


def _cell(text: str) -> str:
    """Return a cell in LaTeX, in which the sign of a negative number is a minus and not a hyphen."""
    return _MINUS.sub("$-$", latex(text))


def write_tables(tables: Iterable[Table], folder: Path) -> None:
    """Write each table as CSV and LaTeX into the folder ``tables`` of a folder."""
    for table in tables:
        write_text(folder / TABLES_FOLDER / f"{table.key}.csv", table.csv())
        write_text(folder / TABLES_FOLDER / f"{table.key}.tex", table.latex())


def confusion_table(confusion: ConfusionMatrix) -> Table:
    """Return a confusion matrix: true classes in rows, predictions in columns."""
    rows = [
        [name, *(f"{count:,}" for count in row)]
        for name, row in zip(confusion.classes, confusion.counts.tolist(), strict=True)
    ]
    return Table(
        "confusion", "Confusion matrix: true classes in rows, predictions in columns",
        ("true class", *confusion.classes), rows,
    )  # fmt: skip
