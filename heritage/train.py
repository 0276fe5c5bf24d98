"""`python -m heritage.train`: train a classifier and report on its test split."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heritage.cli import command

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from heritage.runs.run_result import RunResult


@command("train")
def main(cfg: DictConfig) -> RunResult | None:
    """Train, test and report.

    Returns:
        The run's result, whose ``float`` is what a Hydra sweeper optimizes; None with ``plan=true``.
    """
    from heritage.sweep.launch import start

    return start(cfg)


if __name__ == "__main__":
    main()
