"""A table once, in Markdown, CSV and LaTeX."""

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
        key: Its name in file names.
        title: Its caption.
        head: The columns' names.
        rows: As many cells each.
        note: What a reader must know, a sentence.
    """

    key: str
    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""

    def markdown(self) -> str:
        """Return it in Markdown, with its caption above."""
        rule = ["---", *["---:"] * (len(self.head) - 1)]
        lines = [f"**{self.title}**", ""] + [
            f"| {' | '.join(row)} |" for row in (self.head, rule, *self.rows)
        ]
        return "\n".join([*lines, "", *([self.note, ""] if self.note else [])])

    def csv(self) -> str:
        """Return it as CSV."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([self.head, *self.rows])
        return text.getvalue()

    def latex(self) -> str:
        """Return it as a LaTeX table, for the package booktabs."""
        lines = [r"\begin{table}", r"\centering", rf"\caption{{{latex(self.title)}}}",
                 rf"\label{{tab:{self.key}}}", rf"\begin{{tabular}}{{l{'r' * (len(self.head) - 1)}}}",
                 r"\toprule"]  # fmt: skip
        lines.append(" & ".join(map(latex, self.head)) + r" \\")
        lines.append(r"\midrule")
        lines += [" & ".join(map(latex, row)) + r" \\" for row in self.rows]
        lines += [r"\bottomrule", r"\end{tabular}", r"\end{table}"]
        return "\n".join(lines) + "\n"


def latex(text: str) -> str:
    """Return text in which LaTeX's special characters stand for themselves."""
    return "".join(_SPECIAL.get(letter, letter) for letter in text)
