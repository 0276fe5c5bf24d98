"""A table of text that is written as Markdown, CSV and LaTeX."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from heritage.core.csv_files import csv_text
from heritage.core.escaping import latex, markdown, markdown_row
from heritage.core.files import write_text
from heritage.metrics.confusion import ConfusionMatrix

TABLES_FOLDER = "tables"

_MANY = 7  # columns from which their names are rotated if they are too wide
_PREAMBLE = r"% \usepackage{booktabs}; class names in other scripts than Latin need XeLaTeX or LuaLaTeX"
_ROTATION = r"% \usepackage{graphicx} for the rotated column names"
_WIDE, _WIDEST = 76, 96  # letters of a page's width, in the normal font and a smaller one
_MINUS = re.compile(r"(?<![^\s(])-(?=\d)")
_LONG = 30  # letters of a row's name on one line


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
        """Return the table in LaTeX; it needs the package booktabs.

        Wide tables are set in a smaller font with narrower columns, names of many columns are rotated if
        they would be wider than a page, and long names of rows are wrapped. The note is set below.
        """
        columns = len(self.head)
        widths = [max(map(len, cells)) for cells in zip(self.head, *self.rows, strict=True)]
        wrapped = widths[0] > _LONG
        widths[0] = min(widths[0], _LONG)
        head = [latex(name) for name in self.head]
        if rotated := sum(widths) + 2 * columns > _WIDEST and columns >= _MANY:
            head[1:] = [rf"\rotatebox{{90}}{{{name}}}" for name in head[1:]]
            widths[1:] = [max(map(len, cells)) for cells in zip(*self.rows, strict=True)][1:]
        letters = sum(widths) + 2 * columns
        lines = [_PREAMBLE, *[_ROTATION] * rotated, r"\begin{table}", r"\centering"]
        lines += [rf"\caption{{{latex(self.title)}}}"]
        lines += [rf"\label{{tab:{re.sub(r'[^A-Za-z0-9.:-]+', '-', self.key)}}}"]
        if letters > _WIDE:
            lines.append(r"\footnotesize" if letters <= _WIDEST else r"\scriptsize")
            lines.append(rf"\setlength{{\tabcolsep}}{{{4 if letters <= _WIDEST else 2}pt}}")
        first = r"p{0.3\linewidth}" if wrapped else "l"
        lines += [rf"\begin{{tabular}}{{@{{}}{first}{'r' * (columns - 1)}@{{}}}}", r"\toprule"]
        lines.append(f"{' & '.join(head)} \\\\")
        lines.append(r"\midrule")
        for place, row in enumerate(self.rows):
            if place in self.rules:
                lines.append(r"\midrule")
            lines.append(f"{' & '.join(map(_cell, row))} \\\\")
        lines += [r"\bottomrule", r"\end{tabular}"]
        if self.note:
            lines.append(rf"\par\smallskip\footnotesize {latex(self.note)}")
        lines.append(r"\end{table}")
        return "\n".join(lines) + "\n"


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
