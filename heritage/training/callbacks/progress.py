"""Progress of a run: a bar on a terminal, and one line per epoch."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ProgressBar

from heritage.core.progress import Progress
from heritage.data.batch import Batch
from heritage.training.callbacks.history import EpochMetrics


class RunProgress(EpochMetrics, ProgressBar):
    """Shows steps, images/s and remaining time of the whole run, and prints the metrics of each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self._progress: Progress | None = None
        self._enabled = True

    def disable(self) -> None:
        """Show nothing, as on ranks other than the first."""
        self._enabled = False

    def enable(self) -> None:
        """Show progress again."""
        self._enabled = True

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the bar."""
        if not self._enabled or not trainer.is_global_zero:
            return
        steps = int(pl_module.total_steps) * trainer.accumulate_grad_batches  # type: ignore[arg-type]
        done = trainer.fit_loop.epoch_loop.total_batch_idx + 1
        self._progress = Progress("training", steps, done=done, logs=False)
        self._progress.start()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Advance the bar."""
        if self._progress is None:
            return
        images = len(batch.targets) * trainer.world_size
        epoch = f"epoch {trainer.current_epoch + 1}{_of(trainer)}"
        self._progress.advance(1, items=images, description=epoch)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print the epoch's metrics."""
        if self._progress is None:
            return
        known = self.metrics_of_epoch(trainer)
        parts = [f"epoch {trainer.current_epoch + 1:3d}{_of(trainer)}"]
        for name, label, form in _METRICS:
            if name in known:
                parts.append(f"{label} {known[name]:{form}}")
        self._progress.console.print("  ".join(parts), highlight=False, soft_wrap=True)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the bar."""
        self._close()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Close the bar before the error is printed."""
        self._close()

    def _close(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


_METRICS = (
    ("train/loss", "loss", ".4f"),
    ("val/loss", "val loss", ".4f"),
    ("val/accuracy", "accuracy", ".4f"),
    ("val/macro_f1", "macro-F1", ".4f"),
    ("train/images_per_second", "images/s", ",.0f"),
    ("train/data_wait_percent", "data wait %", ".0f"),
)


def _of(trainer: pl.Trainer) -> str:
    """Return ``/<max_epochs>``; empty if the run is limited by steps."""
    return f"/{trainer.max_epochs}" if trainer.max_epochs and trainer.max_epochs > 0 else ""
