"""Train, test and report: what ``heritage train`` does with a configuration."""

from __future__ import annotations

from omegaconf import DictConfig
from rich.console import Console

from heritage.runs.train_result import TrainResult
from heritage.training.build import build
from heritage.training.lr_finder import find_learning_rate
from heritage.training.run import TrainingRun


def train(cfg: DictConfig, console: Console) -> TrainResult:
    """Train, test the best checkpoint and write the report.

    Args:
        cfg: The configuration of ``train``.
        console: Where tables and paths are printed.

    Returns:
        The run folder with its metrics. On all ranks but the first, which alone tests and writes, and after a
        learning-rate range test it has no metrics.

    Raises:
        HeritageError: The configuration or the data are wrong, or training cannot continue.
        KeyboardInterrupt: Ctrl-C or SIGTERM; the message names what to resume from.
    """
    run = build(cfg, console)
    if cfg.lr_find:
        _find_learning_rate(run)
        return TrainResult(run.folder)
    run.fit()
    if not run.trainer.is_global_zero:
        return TrainResult(run.folder)
    run.test()
    return run.report()


def _find_learning_rate(run: TrainingRun) -> None:
    run.prepare_folder()
    with run.interruptible():
        rate, picture = find_learning_rate(run.trainer, run.classifier, run.data, run.folder)
    if run.trainer.is_global_zero:
        suggestion = f"suggested learning rate: optimizer.lr={rate:.2g}; {picture}"
        run.console.print(suggestion, highlight=False, soft_wrap=True)
