"""Stop a run whose loss is NaN or infinite, and record the batch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from heritage.core.files import write_text
from heritage.core.option_types import FilePath
from heritage.core.types import PositiveInt
from heritage.data.batch import Batch
from heritage.errors import NonFiniteLossError
from heritage.metrics.finite import DIVERGED_REMEDY
from heritage.runs.files import NON_FINITE_FILE


class FiniteLoss(Callback):
    """Raises if a loss is NaN or infinite, with the step, the learning rate and the batch's images.

    Losses are checked together every ``every_n_steps`` steps, and before each validation and checkpoint:
    checking each of them would synchronise host and device at every step.

    Args:
        every_n_steps: Steps between checks.
        folder: The run folder, where ``non_finite.json`` describes the batch.
    """

    def __init__(self, every_n_steps: PositiveInt, *, folder: FilePath) -> None:
        self._every = every_n_steps
        self._folder = Path(folder)
        self._recent: list[tuple[int, float, torch.Tensor, torch.Tensor]] = []

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Store the loss of the step; check all stored ones if it is due."""
        rate = max(group["lr"] for group in trainer.optimizers[0].param_groups)
        self._recent.append((trainer.global_step, rate, outputs["loss"].detach(), batch.rows))
        if len(self._recent) >= self._every:
            self._check(trainer)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check before validation."""
        self._check(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check in epochs without validation."""
        self._check(trainer)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Never overwrite a checkpoint with NaN weights."""
        self._check(trainer)

    def _check(self, trainer: pl.Trainer) -> None:
        recent, self._recent = self._recent, []
        if not recent:
            return
        finite = torch.isfinite(torch.stack([loss for _, _, loss, _ in recent])).cpu()
        if bool(finite.all()):
            return
        step, rate, loss, rows = recent[int((~finite).nonzero()[0])]
        path = self._folder / NON_FINITE_FILE
        epoch, loss_text = trainer.current_epoch + 1, str(loss.item())
        images = _images(trainer, rows)
        record = {"epoch": epoch, "step": step, "lr": rate, "loss": loss_text, "images": images}
        write_text(path, json.dumps(record, indent=2) + "\n")
        raise NonFiniteLossError(
            f"the loss became {loss_text} in epoch {epoch} at step {step} (learning rate {rate:.3g})",
            where=path,
            remedy=DIVERGED_REMEDY,
        )


def _images(trainer: pl.Trainer, rows: torch.Tensor) -> list[str]:
    data: Any = trainer.datamodule  # type: ignore[attr-defined]
    manifest_rows = data.rows("train")[rows.cpu().numpy()]
    ids: list[str] = data.manifest.table["image_id"].take(manifest_rows).to_pylist()
    return ids
