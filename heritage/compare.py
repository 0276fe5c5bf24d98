"""`python -m heritage.compare`: runs side by side, the thesis's figures beside ours."""

from __future__ import annotations

from omegaconf import DictConfig

from heritage.cli import command


@command("compare")
def main(cfg: DictConfig) -> None:
    """Compare, and say where the page lies."""
    from pathlib import Path

    from hydra.utils import instantiate

    from heritage.config.validate import validate

    validate(cfg, "compare")
    from heritage.comparison.comparison import compare
    from heritage.comparison.report import verdict, write_comparison
    from heritage.comparison.runs import find_runs
    from heritage.runs.finished import unfinished

    wished = [cfg.runs] if isinstance(cfg.runs, str) else list(cfg.runs)
    folders = [name for name in wished if name]
    runs = find_runs(folders)
    if begun := unfinished(folders):
        print(f"Left out, not finished: {', '.join(map(str, begun))}")
    comparison = compare(runs, instantiate(cfg.intervals))
    page = write_comparison(comparison, Path(cfg.paths.run))
    counted = f"{_counted(len(runs), 'run')}, {_counted(len(comparison.settings), 'setting')}"
    print(f"{counted}. {verdict(comparison)}\ncomparison: {page}")


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


if __name__ == "__main__":
    main()
