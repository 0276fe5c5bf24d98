"""The learning-rate range test (Smith 2017): losses while the rate rises, and a suggestion."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from matplotlib.figure import Figure
from pytorch_lightning.callbacks import Callback
from rich.console import Console
from rich.progress import Progress
from torch.optim.lr_scheduler import LambdaLR

from heritage.core.files import atomic_path
from heritage.data import ArtefactDataModule
from heritage.data.batch import Batch
from heritage.errors import ConfigError, TrainingError
from heritage.runs.files import LR_FINDER_FILE
from heritage.training.callbacks.deferred_weighting import DeferredWeighting
from heritage.training.callbacks.finetuning import FineTuning
from heritage.training.classifier import Classifier

_STEPS, _LOWEST, _HIGHEST = 100, 1e-6, 1.0
_SKIPPED = 10  # the mean over losses is none yet
_MEMORY = 0.95
_DIVERGED = 4.0
_CHANGES_TRAINING = (FineTuning, DeferredWeighting)


class RangeTest(Callback):
    """Keeps each step's rate and loss, and stops when the loss has grown to four times its best.

    Attributes:
        rates: The rate of the classifier at each step.
        losses: The loss, as a running mean without the bias of its start.
    """

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.losses: list[float] = []
        self._mean = 0.0
        self._progress = Progress(console=Console(stderr=True), transient=True)
        self._task = self._progress.add_task("range test", total=_STEPS)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show how far it is, on a terminal."""
        if trainer.is_global_zero and self._progress.console.is_terminal:
            self._progress.start()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Add a step; of accumulated batches the last stands for all."""
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
        """Close the bar."""
        self._progress.stop()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Close the bar, so that the message after it stands alone."""
        self._progress.stop()

    def suggestion(self) -> float:
        """Return the rate at which the loss falls fastest, for equal steps of the rate's logarithm.

        Raises:
            TrainingError: It falls nowhere, or there are too few steps to say.
        """
        losses = np.array(self.losses)
        kept = slice(_SKIPPED, int(np.isfinite(losses).sum()))
        rates, losses = np.array(self.rates)[kept], losses[kept]
        slopes = np.gradient(losses) if len(losses) > 1 else np.zeros(1)
        if not slopes.min() < 0:
            raise TrainingError(
                "the loss falls at no learning rate", where="lr_find",
                remedy="look at the training images with contact_sheet=true, or choose another optimizer",
            )  # fmt: skip
        return float(rates[int(slopes.argmin())])


def rising_rate(step: int) -> float:
    """Return the rate of a step, counted from 0: from 1e-6 to 1 in equal steps of its logarithm."""
    return float(_LOWEST * (_HIGHEST / _LOWEST) ** min(1.0, step / (_STEPS - 1)))


def rising(optimizer: torch.optim.Optimizer, total_steps: int) -> dict[str, Any]:
    """Let the rate rise, as a schedule; all groups keep their ratios to the classifier's."""
    top = max(group["lr"] for group in optimizer.param_groups)
    return {"scheduler": LambdaLR(optimizer, lambda step: rising_rate(step) / top), "interval": "step"}


def find_learning_rate(
    trainer: pl.Trainer, classifier: Classifier, data: ArtefactDataModule, folder: Path
) -> tuple[float, Path]:
    """Train a hundred steps with a rising rate, over as many epochs as that takes.

    All else is as in the run that is to come: what is frozen, the layers' rates, clipping, mixing.

    Args:
        trainer: The run's trainer; it is not to be used again.
        classifier: What to train; not to be used again either.
        data: The batches.
        folder: Where the picture is written.

    Returns:
        The rate at which the loss falls fastest, and the picture's path.

    Raises:
        ConfigError: The trainer may take one step only.
        TrainingError: The loss falls nowhere.
    """
    if trainer.fast_dev_run:  # type: ignore[attr-defined]
        raise ConfigError(
            "a range test takes a hundred steps", where="lr_find", remedy="set trainer.fast_dev_run=false"
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
        _draw(test, rate, path)
    return rate, path


def _draw(test: RangeTest, rate: float, path: Path) -> None:
    figure = Figure(figsize=(6, 3.4), layout="constrained")
    axes = figure.subplots()
    axes.plot(test.rates, test.losses, color="#1f5a7a")
    axes.axvline(rate, color="#b5651d", linestyle="--", label=f"suggestion: {rate:.2g}")
    axes.set_xscale("log")
    axes.set_xlabel("learning rate")
    axes.set_ylabel("training loss, smoothed")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=150, format="png")
