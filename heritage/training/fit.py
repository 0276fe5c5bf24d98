"""Train, test and report: what ``heritage train`` does with a configuration."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from heritage.core.console import Console
from heritage.runs.locks import run_locked
from heritage.runs.run_result import RunResult
from heritage.training.build import build
from heritage.training.lr_finder import find_learning_rate
from heritage.training.run import TrainingRun


def train(cfg: DictConfig, console: Console) -> RunResult:
    """Train, test the best checkpoint and write the report.

    Args:
        cfg: The configuration of ``train``.
        console: Where tables and paths are printed.

    Returns:
        The run folder with its metrics; after a learning-rate range test there are none. Only the first rank
        tests and writes them.

    Raises:
        HeritageError: The configuration or the data are wrong, or training cannot continue.
        KeyboardInterrupt: Ctrl-C or SIGTERM; the message names what to resume from.
    """
    with run_locked(Path(cfg.paths.run)):
        run = build(cfg, console)
        if cfg.lr_find:
            _find_learning_rate(run)
            return RunResult("train", run.folder)
        with run.interruptible():
            run.fit()
            if not run.trainer.is_global_zero:
                return RunResult("train", run.folder)
            run.test()
            return run.report()


def _find_learning_rate(run: TrainingRun) -> None:
    run.prepare_folder()
    with run.interruptible():
        rate, picture = find_learning_rate(run.trainer, run.classifier, run.data, run.folder)
    if run.trainer.is_global_zero:
        suggestion = f"suggested learning rate: optimizer.lr={rate:.2g}; {picture}"
        run.console.print(suggestion, highlight=False, soft_wrap=True)
