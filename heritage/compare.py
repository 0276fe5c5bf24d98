"""`python -m heritage.compare`: runs side by side, the thesis's figures beside ours."""

from __future__ import annotations

from omegaconf import DictConfig

from heritage.commands import command


@command("compare")
def main(cfg: DictConfig) -> None:
    """Compare, and say where the page lies."""
    from pathlib import Path

    from hydra.utils import instantiate

    from heritage.analysis.comparison import compare
    from heritage.analysis.comparison_report import verdict, write_comparison
    from heritage.analysis.runs import find_runs, unfinished
    from heritage.config.validate import validate

    validate(cfg, "compare")
    folders = [cfg.runs] if isinstance(cfg.runs, str) else list(cfg.runs)
    runs = find_runs(folders)
    if begun := unfinished(folders):
        print(f"Left out, not finished: {', '.join(map(str, begun))}")
    comparison = compare(runs, instantiate(cfg.intervals))
    page = write_comparison(comparison, Path(cfg.paths.run))
    print(f"{len(runs)} runs, {len(comparison.settings)} settings. {verdict(comparison)}\ncomparison: {page}")


if __name__ == "__main__":
    main()
