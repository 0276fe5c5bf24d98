"""Write the metrics of each epoch to ``history.csv`` in the run folder, independently of the logger."""

from __future__ import annotations

from pathlib import Path

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from heritage.core.option_types import FilePath
from heritage.runs.history import read_history, write_history


class EpochMetrics(Callback):
    """Knows which metrics are of the epoch that ends.

    Lightning keeps the validation metrics of an earlier epoch if this one has none.
    """

    _validated = False

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Reset the flag of this epoch's validation."""
        self._validated = False

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Set the flag of this epoch's validation."""
        self._validated = True

    def metrics_of_epoch(self, trainer: pl.Trainer) -> dict[str, float]:
        """Return the metrics that were logged in this epoch, by name."""
        return {
            name: float(value)
            for name, value in trainer.callback_metrics.items()
            if self._validated or not name.startswith("val/")
        }


class History(EpochMetrics):
    """Writes one row per epoch: epoch, step, learning rate and all logged metrics.

    Args:
        folder: The run folder.
    """

    def __init__(self, *, folder: FilePath) -> None:
        self._folder = Path(folder)
        self._rows: list[dict[str, float]] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the rows of epochs that were finished before a resumed run."""
        self._rows = [row for row in read_history(self._folder) if row["epoch"] < trainer.current_epoch]

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Append the epoch's row."""
        if not trainer.is_global_zero:
            return
        row = {
            "epoch": float(trainer.current_epoch),
            "step": float(trainer.global_step),
            "lr": max(group["lr"] for group in trainer.optimizers[0].param_groups),
        }
        row |= self.metrics_of_epoch(trainer)
        self._rows.append(row)
        write_history(self._rows, self._folder)
