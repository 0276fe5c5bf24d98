"""Learning-rate range test (Smith 2017): record the loss while the rate increases, and suggest a rate."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from rich.progress import Progress
from torch.optim.lr_scheduler import LambdaLR

from heritage.core.console import Console
from heritage.data import ArtefactDataModule
from heritage.data.batch import Batch
from heritage.errors import ConfigError, TrainingError
from heritage.reports.figures import range_test_figure
from heritage.runs.files import LR_FINDER_FILE
from heritage.training.callbacks.deferred_weighting import DeferredWeighting
from heritage.training.callbacks.finetuning import FineTuning
from heritage.training.classifier import Classifier

_STEPS, _LOWEST, _HIGHEST = 100, 1e-6, 1.0
_SKIPPED = 10  # the running mean needs some losses
_MEMORY = 0.95
_DIVERGED = 4.0
_CHANGES_TRAINING = (FineTuning, DeferredWeighting)


class RangeTest(Callback):
    """Records rate and loss of each step, and stops when the loss exceeds four times its minimum.

    Attributes:
        rates: Learning rate of the classifier at each step.
        losses: Exponential moving average of the loss, with bias correction.
    """

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.losses: list[float] = []
        self._mean = 0.0
        self._progress = Progress(console=Console(stderr=True), transient=True)
        self._task = self._progress.add_task("range test", total=_STEPS)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the progress bar on a terminal."""
        if trainer.is_global_zero and self._progress.console.is_terminal:
            self._progress.start()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Record a step; of accumulated batches only the last is recorded."""
        if trainer.global_step == len(self.rates):
            return
        loss: torch.Tensor = trainer.strategy.reduce(outputs["loss"].detach(), reduce_op="mean")
        self.rates.append(rising_rate(len(self.rates)))
        self._mean = _MEMORY * self._mean + (1 - _MEMORY) * float(loss) * trainer.accumulate_grad_batches
        self.losses.append(self._mean / (1 - _MEMORY ** len(self.rates)))
        self._progress.update(self._task, completed=len(self.rates))
        if not math.isfinite(self._mean) or self.losses[-1] > _DIVERGED * min(self.losses):
            trainer.should_stop = True

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the progress bar."""
        self._progress.stop()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Close the progress bar before the error is printed."""
        self._progress.stop()

    def suggestion(self) -> float:
        """Return the rate of the steepest decrease of the loss over log(rate).

        Raises:
            TrainingError: The loss does not decrease, or there are too few steps.
        """
        losses = np.array(self.losses)
        kept = slice(_SKIPPED, int(np.isfinite(losses).sum()))
        rates, losses = np.array(self.rates)[kept], losses[kept]
        slopes = np.gradient(losses) if len(losses) > 1 else np.zeros(1)
        if not slopes.min() < 0:
            raise TrainingError(
                "the loss decreases at no learning rate", where="lr_find",
                remedy="check the training images with contact_sheet=true, or choose another optimizer",
            )  # fmt: skip
        return float(rates[int(slopes.argmin())])


def rising_rate(step: int) -> float:
    """Return the rate of a step, counted from 0: from 1e-6 to 1, equally spaced in log(rate)."""
    return float(_LOWEST * (_HIGHEST / _LOWEST) ** min(1.0, step / (_STEPS - 1)))


def rising(optimizer: torch.optim.Optimizer, total_steps: int) -> dict[str, Any]:
    """Return the schedule of `rising_rate`; the ratios between parameter groups are kept."""
    top = max(group["lr"] for group in optimizer.param_groups)
    return {"scheduler": LambdaLR(optimizer, lambda step: rising_rate(step) / top), "interval": "step"}


def find_learning_rate(
    trainer: pl.Trainer, classifier: Classifier, data: ArtefactDataModule, folder: Path
) -> tuple[float, Path]:
    """Train a hundred steps with an increasing rate, over as many epochs as necessary.

    Frozen layers, layer-wise rates, gradient clipping and mixing are those of the configured run.

    Args:
        trainer: The run's trainer; do not use it afterwards.
        classifier: The module to train; do not use it afterwards.
        data: The data set.
        folder: Folder of the figure.

    Returns:
        The suggested rate, and the path of the figure.

    Raises:
        ConfigError: ``trainer.fast_dev_run`` takes one step only.
        TrainingError: The loss does not decrease.
    """
    if trainer.fast_dev_run:  # type: ignore[attr-defined]
        raise ConfigError(
            "a range test needs a hundred steps", where="lr_find", remedy="set trainer.fast_dev_run=false"
        )
    test = RangeTest()
    kept = [part for part in trainer.callbacks if isinstance(part, _CHANGES_TRAINING)]  # type: ignore[attr-defined]
    trainer.callbacks = [*kept, test]  # type: ignore[attr-defined]
    trainer.loggers = []
    trainer.limit_val_batches = 0
    trainer.fit_loop.max_epochs = -1
    trainer.fit_loop.epoch_loop.max_steps = _STEPS
    classifier.set_scheduler(rising)
    trainer.fit(classifier, datamodule=data)
    rate = test.suggestion()
    path = folder / LR_FINDER_FILE
    if trainer.is_global_zero:
        range_test_figure(test.rates, test.losses, rate, path)
    return rate, path
