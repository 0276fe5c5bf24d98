"""Checkpoints: the best one by a validation metric, atomic writing, and early stopping."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning_fabric.utilities.types import _PATH
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from torch import Tensor

from heritage.core.disk import full_disk
from heritage.core.files import atomic_path
from heritage.core.option_types import FilePath
from heritage.core.types import NonNegativeFloat, PositiveInt
from heritage.errors import TrainingError
from heritage.models.checkpoint_file import open_checkpoint
from heritage.runs.files import BEST_CHECKPOINT, CHECKPOINTS_FOLDER


class BestCheckpoint(ModelCheckpoint):
    """Saves ``checkpoints/best.ckpt`` in the run folder when a metric improves.

    Args:
        monitor: Name of the logged metric.
        mode: ``max`` if greater is better, ``min`` if less is.
        folder: The run folder.
    """

    def __init__(self, monitor: str, mode: Literal["max", "min"], *, folder: FilePath) -> None:
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

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the best value, also if the run folder was moved since.

        Paths are this folder's: Lightning would delete what the state names.
        """
        best, score = Path(str(self.dirpath)) / BEST_CHECKPOINT, state_dict.get("best_model_score")
        if isinstance(score, Tensor) and score.numel() == 1:
            self.best_model_score = self.kth_value = score.reshape(())
            self.best_model_path = self.kth_best_model_path = str(best)
            self.best_k_models = {str(best): score.reshape(())}


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint to a temporary file in its folder, syncs it and renames it.

    Lightning moves a file from the system's temporary folder, which copies it if that is on another disk:
    when the disk fills up half-way, the previous checkpoint is lost.
    """

    def load_checkpoint(
        self, path: _PATH, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Return the content of a checkpoint: plain data and tensors, which are read into memory.

        Raises:
            CheckpointError: It is damaged, not a checkpoint, or holds more than plain data and tensors.
        """
        content: dict[str, Any] = open_checkpoint(Path(path), mmap=False)
        return content

    def save_checkpoint(self, checkpoint: dict[str, Any], path: _PATH, storage_options: Any = None) -> None:
        """Write a checkpoint.

        Raises:
            TrainingError: The disk is full or read-only; the previous checkpoint is intact.
        """
        try:
            with atomic_path(Path(path)) as temporary:
                torch.save(checkpoint, temporary)
        except (OSError, RuntimeError) as error:  # torch's writer raises the latter for a full disk
            first = "free some space" if full_disk(error) else "correct that"
            raise TrainingError(
                f"the checkpoint cannot be written ({error}); the previous one is intact",
                where=path,
                remedy=f"{first} and resume with resume=true",
            ) from error


def early_stopping(
    monitor: str, mode: Literal["max", "min"], patience: PositiveInt, min_delta: NonNegativeFloat
) -> EarlyStopping:
    """Stop when ``monitor`` has not improved by ``min_delta`` for ``patience`` validations."""
    return EarlyStopping(
        monitor=monitor, mode=mode, patience=patience, min_delta=min_delta, check_finite=False
    )
