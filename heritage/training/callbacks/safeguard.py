"""Save the state of a run: after each epoch, at intervals, and when a signal stops it.

Checkpoints are saved between two optimizer steps, so a run that resumes from one ends with the same weights
as a run that was never interrupted.
"""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint

from heritage.core.option_types import FilePath
from heritage.core.signals import SIGNALS, RepeatFilter
from heritage.core.types import PositiveFloat
from heritage.data.batch import Batch
from heritage.runs.files import CHECKPOINTS_FOLDER, LAST_CHECKPOINT

BATCH_SIGNAL = signal.SIGUSR2
"""The signal of a batch system before the time limit; handled only if submitit handles it as well."""


class Stopped(KeyboardInterrupt):
    """A signal stopped the run between two steps, after its state was saved.

    Lightning handles it like Ctrl-C, without a traceback.

    Args:
        number: The signal; None if another rank received it.
    """

    def __init__(self, number: int | None) -> None:
        super().__init__(number)
        self.number = number

    def __str__(self) -> str:
        if self.number is None:
            return "stopped with the other processes"
        return f"stopped by {'Ctrl-C' if self.number == signal.SIGINT else signal.Signals(self.number).name}"


class Safeguard(Checkpoint):
    """Writes ``checkpoints/last.ckpt``.

    As a `Checkpoint` callback it is called after all others, whose state it saves. After the first signal
    the current step or validation finishes; a second one stops immediately, except in batch systems, which
    send several.

    Args:
        every_minutes: Minutes between checkpoints within an epoch; None saves at the end of epochs only.
        folder: The run folder.
    """

    def __init__(self, every_minutes: PositiveFloat | None, *, folder: FilePath) -> None:
        self._seconds = None if every_minutes is None else 60 * every_minutes
        self._path = Path(folder) / CHECKPOINTS_FOLDER / LAST_CHECKPOINT
        self._saved = time.monotonic()
        self._signal: int | None = None
        self._repeats = RepeatFilter()
        self._in_batch_job = False
        self._previous_handlers: dict[int, Any] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Install the signal handlers."""
        self._saved = time.monotonic()
        if threading.current_thread() is threading.main_thread():
            self._in_batch_job = callable(signal.getsignal(BATCH_SIGNAL))
            signals = (*SIGNALS, BATCH_SIGNAL) if self._in_batch_job else SIGNALS
            self._previous_handlers = {number: signal.signal(number, self._handle) for number in signals}

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Save if it is due or a signal has come."""
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            return  # accumulated gradients would be lost
        if trainer.should_stop or batch_idx + 1 == trainer.num_training_batches:
            return  # the end of the epoch saves; resuming from here would skip its validation
        due = self._seconds is not None and time.monotonic() - self._saved >= self._seconds
        if not self._any_rank(trainer, due or self._signal is not None):
            return  # the only communication between ranks after each step
        self._save(trainer)
        if self._any_rank(trainer, self._signal is not None):
            raise Stopped(self._signal)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save after each epoch; a signal may have come during validation."""
        self._save(trainer)
        if self._any_rank(trainer, self._signal is not None):
            raise Stopped(self._signal)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Restore the previous signal handlers."""
        self._restore()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Restore the previous signal handlers."""
        self._restore()

    def _save(self, trainer: pl.Trainer) -> None:
        if not trainer.fast_dev_run:  # type: ignore[attr-defined]
            trainer.save_checkpoint(self._path)
        self._saved = time.monotonic()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        repeated = self._repeats.is_repeated()
        if self._signal is None:
            self._signal = number
        elif not self._in_batch_job and not repeated:
            raise Stopped(number)

    def _restore(self) -> None:
        for number, handler in self._previous_handlers.items():
            signal.signal(number, handler)
        self._previous_handlers = {}

    @staticmethod
    def _any_rank(trainer: pl.Trainer, value: bool) -> bool:
        # Ranks receive a signal at different steps, but all must save at the same one.
        if trainer.world_size == 1:
            return value
        return trainer.strategy.reduce_boolean_decision(value, all=False)
