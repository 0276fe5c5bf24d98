"""One table in Markdown, CSV and LaTeX."""

from __future__ import annotations

import re

import numpy as np
import pytest

from heritage.metrics.confusion import ConfusionMatrix
from heritage.reports import tables
from heritage.reports.tables import Table, confusion_table


def test_markdown_and_csv_have_all_cells() -> None:
    table = Table("x", "Scores", ("setting", "F1"), [("none", "0.5"), ("a, b", "0.6")], "A remark.")
    assert table.csv() == 'setting,F1\nnone,0.5\n"a, b",0.6\n'
    assert table.markdown().splitlines()[2:5] == ["| setting | F1 |", "| --- | ---: |", "| none | 0.5 |"]
    assert "A remark." in table.markdown()


def test_latex_escapes_special_characters() -> None:
    text = Table("x", "50 % of a_b", ("a", "b"), [("x & y", "±1 {2}")]).latex()
    assert r"50 \% of a\_b" in text
    assert r"x \& y & $\pm$1 \{2\} \\" in text


def test_latex_has_the_structure_of_booktabs() -> None:
    names = [r"\input{x}", "a & b", "50 %", "{", "}", "$", "_^~#", "* x", "[5]", "x\ny", "秦漢", "العربية"]
    counts = np.arange(len(names) ** 2).reshape(len(names), -1)
    text = confusion_table(ConfusionMatrix(counts, tuple(names))).latex()
    lines = text.splitlines()
    assert [line for line in lines if line.endswith("rule")] == [r"\toprule", r"\midrule", r"\bottomrule"]
    assert rf"\begin{{tabular}}{{@{{}}l{'r' * len(names)}@{{}}}}" in lines
    rows = [line for line in lines if line.endswith(r"\\")]
    assert len(rows) == 1 + len(names)
    assert all(len(re.findall(r"(?<!\\)&", row)) == len(names) for row in rows)
    bare = re.sub(r"\\\\|\\[{}]", "", text)
    depth = [bare[:place].count("{") - bare[:place].count("}") for place in range(len(bare) + 1)]
    assert min(depth) == depth[-1] == 0
    assert re.findall(r"\\(begin|end)\{(\w+)\}", text) == [
        ("begin", "table"), ("begin", "tabular"), ("end", "tabular"), ("end", "table")
    ]  # fmt: skip
    assert r"\input" not in text
    assert r"\footnotesize" in lines


def test_long_names_are_rotated_and_wrapped_in_a_table_of_few_columns() -> None:
    long = "Fine painted wares of the Ancient Near East, 100 %"
    names = (long, "Late Roman imperial portraits", "Egypt")
    text = confusion_table(ConfusionMatrix(np.eye(3, dtype=int), names)).latex()
    assert r"\begin{tabular}{@{}lrrr@{}}" in text.splitlines()
    [head] = [line for line in text.splitlines() if "rotatebox{90}" in line]
    escaped = long.replace("%", r"\%")
    assert head.removesuffix(r" \\").split(" & ")[1:] == [
        rf"\rotatebox{{90}}{{\parbox[c]{{120pt}}{{\raggedright {escaped}\strut}}}}",
        r"\rotatebox{90}{Late Roman imperial portraits}",
        r"\rotatebox{90}{Egypt}",
    ]
    assert rf"\parbox[t]{{120pt}}{{\raggedright {escaped}\strut}} & 1 & 0 & 0 \\" in text.splitlines()
    assert r"\usepackage{graphicx}" in text
    short = confusion_table(ConfusionMatrix(np.eye(7, dtype=int), tuple("abcdefg"))).latex()
    assert r"\usepackage{booktabs}" in short
    assert not {"rotatebox", "graphicx", "parbox", "resizebox"} & set(re.findall(r"[a-z]+", short))


@pytest.mark.parametrize(
    ("letters", "size", "scaled"),
    [(5, "", False), (18, r"\footnotesize", False), (21, r"\scriptsize", False), (30, r"\scriptsize", True)],
)
def test_a_latex_table_fits_a_page(letters: int, size: str, scaled: bool) -> None:
    table = Table("t", "Scores", ("class", *"abcd"), [("x", *["9" * letters] * 4)])
    lines = table.latex().splitlines()
    assert [line for line in lines if line.endswith("size")] == ([size] if size else [])
    assert (r"\resizebox{\linewidth}{!}{%" in lines) == scaled == (r"\end{tabular}}" in lines)
    assert any("graphicx" in line for line in lines) == scaled


@pytest.mark.parametrize(
    ("text", "points"),
    [("grecoroman", 50.6), ("Mesoamerican civilisations", 116.3), ("0.440", 22.8), ("BYZANTIUM", 63.2)],
)
def test_the_estimated_width_is_that_of_latex_or_a_little_more(text: str, points: float) -> None:
    """The widths are those that LaTeX measures in Computer Modern at 10 points (``\\settowidth``)."""
    assert points <= tables._points(text) <= 1.1 * points


def test_negative_numbers_have_a_minus_in_latex() -> None:
    row = ("ring-2 -x 3-4", "-0.013 (-0.062 – +0.027)")
    text = Table("t", "Scores", ("class", "change"), [row]).latex()
    assert r"ring-2 -x 3-4 & $-$0.013 ($-$0.062 -- +0.027) \\" in text.splitlines()


def test_averages_are_below_a_rule_and_notes_below_the_table() -> None:
    table = Table("t", "Scores", ("class", "F1"), [("a", "1"), ("macro", "1")], "5 % of x_y", rules=(1,))
    lines = table.latex().splitlines()
    assert lines.count(r"\midrule") == 2
    assert lines.index(r"macro & 1 \\") == lines.index(r"a & 1 \\") + 2
    assert r"\par\smallskip\footnotesize 5 \% of x\_y" in lines
