"""Keeps a run's state safe: after each epoch, every so many minutes, and when a signal asks it to stop.

A checkpoint is taken between two optimiser steps and never inside one, so a run that goes on from it
ends with the same weights as one that was never interrupted.
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

from heritage.core.types import PositiveFloat
from heritage.data.batch import Batch
from heritage.runs.files import CHECKPOINTS_FOLDER, LAST_CHECKPOINT

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""What asks a run to stop: Ctrl-C; and `timeout`, a batch system or a machine that shuts down."""
BATCH_SIGNAL = signal.SIGUSR2
"""What a batch system sends before it takes the machine away; heard only where somebody else listens, too."""


class Stopped(KeyboardInterrupt):
    """A signal stopped the run between two steps, after its state was saved.

    Lightning ends on it as on Ctrl-C, without a traceback.

    Args:
        number: The signal; None on a rank that another one told.
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

    As a kind of checkpoint callback Lightning calls it after all others, whose state it saves. The first
    signal lets the step finish (a validation too); a second one stops at once, but for batch systems, which
    send several.

    Args:
        every_minutes: Time between checkpoints within an epoch; None leaves it to the epochs' ends.
        folder: The run folder.
    """

    def __init__(self, every_minutes: PositiveFloat | None, *, folder: str) -> None:
        self._seconds = None if every_minutes is None else 60 * every_minutes
        self._path = Path(folder) / CHECKPOINTS_FOLDER / LAST_CHECKPOINT
        self._saved = time.monotonic()
        self._heard: int | None = None
        self._batch = False
        self._before: dict[int, Any] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Listen for signals."""
        self._saved = time.monotonic()
        if threading.current_thread() is threading.main_thread():
            self._batch = callable(signal.getsignal(BATCH_SIGNAL))
            signals = (*SIGNALS, BATCH_SIGNAL) if self._batch else SIGNALS
            self._before = {number: signal.signal(number, self._remember) for number in signals}

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Save between two steps, if it is time or somebody asked to stop."""
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            return  # the gradients of half a step would be lost
        if trainer.should_stop or batch_idx + 1 == trainer.num_training_batches:
            return  # the epoch's end saves: a run that goes on from here would leave its validation out
        due = self._seconds is not None and time.monotonic() - self._saved >= self._seconds
        if not self._agreed(trainer, due or self._heard is not None):
            return  # what all ranks tell each other after each step is this one bit
        self._save(trainer)
        if self._agreed(trainer, self._heard is not None):
            raise Stopped(self._heard)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save after each epoch; a signal may have come while it was validated."""
        self._save(trainer)
        if self._agreed(trainer, self._heard is not None):
            raise Stopped(self._heard)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Listen no more."""
        self._restore()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Listen no more."""
        self._restore()

    def _save(self, trainer: pl.Trainer) -> None:
        if not trainer.fast_dev_run:  # type: ignore[attr-defined]
            trainer.save_checkpoint(self._path)
        self._saved = time.monotonic()

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if self._heard is None:
            self._heard = number
        elif not self._batch:
            raise Stopped(number)

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    @staticmethod
    def _agreed(trainer: pl.Trainer, wish: bool) -> bool:
        # Ranks hear of a signal at different steps, but all must save at the same one.
        if trainer.world_size == 1:
            return wish
        return trainer.strategy.reduce_boolean_decision(wish, all=False)
