"""One table in Markdown, CSV and LaTeX."""

from __future__ import annotations

from heritage.reports.tables import Table


def test_markdown_and_csv_have_all_cells() -> None:
    table = Table("x", "Scores", ("setting", "F1"), [("none", "0.5"), ("a, b", "0.6")], "A remark.")
    assert table.csv() == 'setting,F1\nnone,0.5\n"a, b",0.6\n'
    assert table.markdown().splitlines()[2:5] == ["| setting | F1 |", "| --- | ---: |", "| none | 0.5 |"]
    assert "A remark." in table.markdown()


def test_latex_escapes_special_characters() -> None:
    text = Table("x", "50 % of a_b", ("a", "b"), [("x & y", "±1 {2}")]).latex()
    assert r"50 \% of a\_b" in text
    assert r"x \& y & $\pm$1 \{2\} \\" in text
