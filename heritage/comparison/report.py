"""A comparison as files: Markdown, a page, and each table as CSV and LaTeX."""

from __future__ import annotations

from pathlib import Path

from heritage.comparison.comparison import Comparison
from heritage.comparison.figures import write_figures
from heritage.comparison.published import published
from heritage.comparison.remedies import Remedies
from heritage.core.files import write_text
from heritage.reports.html import embedded_png, write_page

PAGE_FILE, MARKDOWN_FILE, TABLES_FOLDER = "comparison.html", "comparison.md", "tables"


def write_comparison(comparison: Comparison, folder: Path) -> Path:
    """Write all files and return the path of ``comparison.html``."""
    overview, classes, tests = comparison.overview(), comparison.classes(), comparison.tests()
    remedies = Remedies.of(comparison).table()
    tables = [overview, classes, *([remedies] if remedies else []), tests]
    thesis = comparison.thesis_tables()
    for table in (*tables, *thesis):
        write_text(folder / TABLES_FOLDER / f"{table.key}.csv", table.csv())
        write_text(folder / TABLES_FOLDER / f"{table.key}.tex", table.latex())
    figures = write_figures(comparison, folder)
    said = verdict(comparison)
    lines = ["# Comparison", "", said, "", *(table.markdown() for table in tables)]
    for path, caption in figures:
        lines += [f"![{caption}]({path.name})", "", caption, ""]
    lines += ["## Beside the thesis", "", *(table.markdown() for table in thesis)]
    write_text(folder / MARKDOWN_FILE, "\n".join(lines))
    matched = {run.table for run in published() if comparison.match(run) is not None}
    write_page(
        "comparison",
        folder / PAGE_FILE,
        overview=overview,
        classes=classes,
        remedies=remedies,
        tests=tests,
        thesis=[{"table": one, "matched": one.key.removeprefix("thesis-") in matched} for one in thesis],
        figures=[(embedded_png(path), caption) for path, caption in figures],
        verdict=said,
        real=any(one.significant for one in comparison.differences),
        images=len(comparison.first.images),
        groups=len(set(comparison.first.groups)),
        resamples=comparison.resamples,
        runs=[
            (one.name, run.recipe.seed, str(run.folder)) for one in comparison.settings for run in one.runs
        ],
    )
    return folder / PAGE_FILE


def verdict(comparison: Comparison) -> str:
    """Return the outcome in a sentence or two."""
    best = comparison.settings[0]
    if len(comparison.settings) == 1:
        return f"There is one setting, {best.name}: macro-F1 {best.mean('macro_f1'):.3f}."
    against = [one for one in comparison.differences if 0 in (one.first, one.second)]
    beaten = [one.second + one.first for one in against if one.significant]
    names = [comparison.settings[place].name for place in sorted(beaten)]
    ties = [one.name for place, one in enumerate(comparison.settings) if place and place not in beaten]
    words = f"Best macro-F1: {best.name}, {best.mean('macro_f1'):.3f}."
    words += f" It really is better than {_list(names)}." if names else " No difference to another is real."
    if names and ties:
        words += f" Against {_list(ties)} the difference may be chance."
    return words


def _list(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
