"""`python -m heritage.evaluate`: measure a trained network on a data set."""

from __future__ import annotations

from omegaconf import DictConfig

from heritage.cli import command


@command("evaluate")
def main(cfg: DictConfig) -> None:
    """Evaluate, and say where the report lies."""
    from heritage.config.validate import validate

    validate(cfg, "evaluate")
    from rich.console import Console

    from heritage.evaluation.evaluate import evaluate

    evaluate(cfg, Console())


if __name__ == "__main__":
    main()
