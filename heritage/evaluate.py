"""`python -m heritage.evaluate`: metrics, calibration and audits of a trained network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heritage.cli import command

if TYPE_CHECKING:
    from omegaconf import DictConfig


@command("evaluate")
def main(cfg: DictConfig) -> None:
    """Evaluate a network, write the report and print its path."""
    from heritage.config.validate import validate
    from heritage.runs.checkpoints import find_checkpoints
    from heritage.runs.input_paths import require_inputs

    validate(cfg, "evaluate")
    find_checkpoints(cfg.ckpt)
    require_inputs(cfg)
    from heritage.core.console import Console
    from heritage.evaluation.evaluate import evaluate

    evaluate(cfg, Console())


if __name__ == "__main__":
    main()
