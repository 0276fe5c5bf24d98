"""Write a comparison: Markdown, an HTML page, figures, and each table as CSV and LaTeX."""

from __future__ import annotations

from pathlib import Path

from heritage.comparison.balancing import BalancingEffects
from heritage.comparison.comparison import Comparison
from heritage.comparison.figures import write_figures
from heritage.comparison.paired import DECISIVE
from heritage.core.escaping import markdown
from heritage.core.files import write_text
from heritage.core.option_types import FigureWidth
from heritage.reports.html import embedded_png, write_page
from heritage.reports.tables import write_tables

PAGE_FILE, MARKDOWN_FILE = "comparison.html", "comparison.md"


def write_comparison(comparison: Comparison, folder: Path, width: FigureWidth = "double") -> Path:
    """Write all files and return the path of ``comparison.html``.

    Args:
        comparison: The settings.
        folder: The folder to write to.
        width: Width of the figures: one or two columns.
    """
    overview, classes, tests = comparison.overview(), comparison.classes(), comparison.tests()
    balancing = BalancingEffects.of(comparison).table()
    tables = [overview, classes, *([balancing] if balancing else []), tests]
    thesis = comparison.thesis_tables()
    write_tables((*tables, *thesis), folder)
    figures = write_figures(comparison, folder, width)
    outcome = summary(comparison)
    lines = ["# Comparison", "", markdown(outcome), "", *(table.markdown() for table in tables)]
    for path, caption in figures:
        lines += [f"![{markdown(caption)}]({path.name})", "", markdown(caption), ""]
    if thesis:
        lines += ["## Published values of the thesis", "", *(table.markdown() for table in thesis)]
    write_text(folder / MARKDOWN_FILE, "\n".join(lines))
    matched = {run.table for run in comparison.published if comparison.match(run) is not None}
    write_page(
        "comparison",
        folder / PAGE_FILE,
        overview=overview,
        classes=classes,
        balancing=balancing,
        tests=tests,
        thesis=[{"table": one, "matched": one.key.removeprefix("thesis-") in matched} for one in thesis],
        figures=[(embedded_png(path), caption) for path, caption in figures],
        summary=outcome,
        any_significant=any(one.significant for one in comparison.differences),
        images=len(comparison.first.images),
        groups=len(set(comparison.first.groups)),
        resamples=comparison.resamples,
        runs=[
            (one.name, run.description.seed, str(run.folder))
            for one in comparison.settings
            for run in one.runs
        ],
    )
    return folder / PAGE_FILE


def summary(comparison: Comparison) -> str:
    """Return the outcome in one to three sentences."""
    names = [f"“{one.name}”" for one in comparison.settings]
    highest = f"{comparison.settings[0].mean(DECISIVE):.3f}"
    if len(names) == 1:
        return f"There is one setting, {names[0]}, with a macro-F1 of {highest}."
    of_best = [pair for pair in comparison.differences if 0 in (pair.first, pair.second)]
    worse = {pair.second + pair.first for pair in of_best if pair.significant}
    others = range(1, len(names))
    clear = [names[index] for index in others if index in worse]
    chance = [names[index] for index in others if index not in worse]
    words = f"The highest macro-F1 is {highest}, of {names[0]}."
    if clear:
        words += f" It is significantly higher than that of {_list(clear)}."
    if chance:
        words += (
            f" The difference from {chance[0]} is not significant: it may be due to chance."
            if len(chance) == 1
            else f" The differences from {_list(chance)} are not significant: they may be due to chance."
        )
    return words


def _list(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
