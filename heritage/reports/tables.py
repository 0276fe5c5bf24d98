"""A table of text that is written as Markdown, CSV and LaTeX."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

_SPECIAL = {
    **{letter: f"\\{letter}" for letter in "&%_#${}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
    "–": "--",
    "±": r"$\pm$",
    "−": "$-$",
    "→": r"$\rightarrow$",
    "<": "$<$",
    ">": "$>$",
}


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
        lines = [f"**{self.title}**", ""] + [
            f"| {' | '.join(row)} |" for row in (self.head, rule, *self.rows)
        ]
        return "\n".join([*lines, "", *([self.note, ""] if self.note else [])])

    def csv(self) -> str:
        """Return the table as CSV."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([self.head, *self.rows])
        return text.getvalue()

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


def latex(text: str) -> str:
    """Return text with LaTeX's special characters escaped."""
    return "".join(_SPECIAL.get(letter, letter) for letter in text)
