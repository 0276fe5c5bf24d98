"""A table of text that is written as Markdown, CSV and LaTeX."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from heritage.core.csv_files import csv_text
from heritage.core.escaping import latex, markdown, markdown_row


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes:
        key: Name of its files and its LaTeX label.
        title: Caption.
        head: Column names.
        rows: The cells of each row, as many as there are columns.
        note: A remark below the table.
    """

    key: str
    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""

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
        """Return the table in LaTeX; it needs the package booktabs."""
        lines = [r"\begin{table}", r"\centering", rf"\caption{{{latex(self.title)}}}",
                 rf"\label{{tab:{self.key}}}", rf"\begin{{tabular}}{{l{'r' * (len(self.head) - 1)}}}",
                 r"\toprule"]  # fmt: skip
        lines.append(" & ".join(map(latex, self.head)) + r" \\")
        lines.append(r"\midrule")
        lines += [" & ".join(map(latex, row)) + r" \\" for row in self.rows]
        lines += [r"\bottomrule", r"\end{tabular}", r"\end{table}"]
        return "\n".join(lines) + "\n"
