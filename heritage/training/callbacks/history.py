"""What each epoch brought, as ``history.csv`` in the run folder, whatever logger is chosen."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from heritage.core.files import write_text

HISTORY_FILE = "history.csv"


class History(Callback):
    """Writes one row an epoch: epoch, step, learning rate, and all that was logged.

    Args:
        folder: The run folder.
    """

    def __init__(self, *, folder: str) -> None:
        self._path = Path(folder) / HISTORY_FILE
        self._rows: list[dict[str, float]] = []
        self._validated = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the rows of the epochs that a resumed run has behind it."""
        if self._path.is_file():
            self._rows = [row for row in read_history(self._path) if row["epoch"] < trainer.current_epoch]

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Wait for this epoch's validation."""
        self._validated = False

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note that the epoch has one."""
        self._validated = True

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add the epoch's row."""
        if not trainer.is_global_zero:
            return
        row = {
            "epoch": float(trainer.current_epoch),
            "step": float(trainer.global_step),
            "lr": max(group["lr"] for group in trainer.optimizers[0].param_groups),
        }
        # Lightning keeps an earlier epoch's validation figures where this one has none.
        row |= {
            name: float(value)
            for name, value in trainer.callback_metrics.items()
            if self._validated or not name.startswith("val/")
        }
        self._rows.append(row)
        write_text(self._path, _table(self._rows))


def read_history(path: Path) -> list[dict[str, float]]:
    """Return the rows of a ``history.csv``; what an epoch did not log is left out of its row."""
    with path.open(encoding="utf-8", newline="") as file:
        return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]


def _table(rows: list[dict[str, float]]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    # Counts are written as such: `epoch` 3, not 3.0.
    writer.writerows({name: f"{value:.12g}" for name, value in row.items()} for row in rows)
    return text.getvalue()
