"""Checkpoints: where they are, how they are written, and the best one by a validation figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning_fabric.utilities.types import _PATH
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint

from heritage.core.files import atomic_path
from heritage.core.types import NonNegativeFloat, PositiveInt
from heritage.errors import TrainingError
from heritage.runs.files import BEST_CHECKPOINT, CHECKPOINTS_FOLDER


class BestCheckpoint(ModelCheckpoint):
    """Keeps ``checkpoints/best.ckpt`` of a run folder.

    Args:
        monitor: The logged figure that decides.
        mode: Whether more or less of it is better.
        folder: The run folder.
    """

    def __init__(self, monitor: str, mode: Literal["max", "min"], *, folder: str) -> None:
        super().__init__(
            dirpath=Path(folder) / CHECKPOINTS_FOLDER,
            filename=Path(BEST_CHECKPOINT).stem,
            monitor=monitor,
            mode=mode,
            save_top_k=1,
            auto_insert_metric_name=False,
            enable_version_counter=False,
        )

    @property
    def state_key(self) -> str:
        """The key of its state in a checkpoint, as version 0.1 wrote it."""
        return super().state_key.replace("BestCheckpoint", "Best")


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place, syncs it and renames it.

    Lightning's own way moves a file from the system's temporary folder, which is a copy where that is
    another disk: when it fills up half-way, the old checkpoint is gone.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: _PATH, storage_options: Any = None) -> None:
        """Write a checkpoint.

        Raises:
            TrainingError: The disk is full or may not be written to; the old checkpoint is whole.
        """
        try:
            with atomic_path(Path(path)) as temporary:
                torch.save(checkpoint, temporary)
        except (OSError, RuntimeError) as error:  # torch's writer turns a full disk into the latter
            raise TrainingError(
                f"the checkpoint cannot be written ({error}); the one before it is whole",
                where=path,
                remedy="make room and go on with resume=true",
            ) from error


def early_stopping(
    monitor: str, mode: Literal["max", "min"], patience: PositiveInt, min_delta: NonNegativeFloat
) -> EarlyStopping:
    """Stop when ``monitor`` has not got better by ``min_delta`` for ``patience`` validations."""
    return EarlyStopping(
        monitor=monitor, mode=mode, patience=patience, min_delta=min_delta, check_finite=False
    )
