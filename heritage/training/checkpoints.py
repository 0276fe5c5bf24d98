"""The best checkpoint by a validation figure, and the last one."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint

from heritage.config.types import Count, NonNegative

FOLDER = "checkpoints"
BEST, LAST = "best.ckpt", "last.ckpt"


class BestAndLast(ModelCheckpoint):
    """Keeps ``checkpoints/best.ckpt`` and ``checkpoints/last.ckpt`` of a run folder.

    Args:
        monitor: The logged figure that decides.
        mode: Whether more or less of it is better.
        folder: The run folder.
    """

    CHECKPOINT_NAME_LAST = Path(LAST).stem

    def __init__(self, monitor: str, mode: Literal["max", "min"], *, folder: str) -> None:
        super().__init__(
            dirpath=Path(folder) / FOLDER,
            filename=Path(BEST).stem,
            monitor=monitor,
            mode=mode,
            save_top_k=1,
            save_last=True,
            auto_insert_metric_name=False,
            enable_version_counter=False,
        )


def early_stopping(
    monitor: str, mode: Literal["max", "min"], patience: Count, min_delta: NonNegative
) -> EarlyStopping:
    """Stop when ``monitor`` has not got better by ``min_delta`` for ``patience`` validations."""
    return EarlyStopping(
        monitor=monitor, mode=mode, patience=patience, min_delta=min_delta, check_finite=False
    )
