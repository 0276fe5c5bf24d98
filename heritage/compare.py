"""`python -m heritage.compare`: compare runs, with paired tests and the published values of the thesis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heritage.cli import command
from heritage.core.terminal import print_line

if TYPE_CHECKING:
    from omegaconf import DictConfig


@command("compare")
def main(cfg: DictConfig) -> None:
    """Compare runs, write the report and print its path."""
    from pathlib import Path

    from hydra.utils import instantiate

    from heritage.config.validate import validate

    validate(cfg, "compare")
    from heritage.core.option_types import FigureWidth, choice

    width = choice("figure_width", cfg.figure_width, FigureWidth)
    from heritage.comparison.comparison import compare
    from heritage.comparison.report import summary, write_comparison
    from heritage.comparison.runs import find_runs
    from heritage.runs.locks import run_locked
    from heritage.runs.read_predictions import unfinished

    given = [cfg.runs] if isinstance(cfg.runs, str) else list(cfg.runs)
    folders = [name for name in given if name]
    runs = find_runs(folders)
    if skipped := unfinished(folders):
        print_line(f"Left out, not finished: {', '.join(map(str, skipped))}")
    with run_locked(Path(cfg.paths.run)):
        comparison = compare(runs, instantiate(cfg.intervals))
        page = write_comparison(comparison, Path(cfg.paths.run), width)
    counts = f"{_count(len(runs), 'run')}, {_count(len(comparison.settings), 'setting')}"
    print_line(f"{counts}. {summary(comparison)}")
    print_line(f"comparison: {page}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


if __name__ == "__main__":
    main()
