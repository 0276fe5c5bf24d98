"""Write a comparison: Markdown, an HTML page, figures, and each table as CSV and LaTeX."""

from __future__ import annotations

from pathlib import Path

from heritage.comparison.balancing import BalancingEffects
from heritage.comparison.comparison import Comparison
from heritage.comparison.figures import write_figures
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
    best = comparison.settings[0]
    if len(comparison.settings) == 1:
        return f"There is one setting, {best.name}: macro-F1 {best.mean('macro_f1'):.3f}."
    of_best = [pair for pair in comparison.differences if 0 in (pair.first, pair.second)]
    worse = [pair.second + pair.first for pair in of_best if pair.significant]
    names = [comparison.settings[index].name for index in sorted(worse)]
    others = [one.name for index, one in enumerate(comparison.settings) if index and index not in worse]
    words = f"Best macro-F1: {best.name}, {best.mean('macro_f1'):.3f}."
    if not names:
        return f"{words} No difference to another setting is significant."
    words += f" It is significantly better than {_list(names)}."
    return f"{words} The difference to {_list(others)} is not significant." if others else words


def _list(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
