"""Training loss, throughput and memory, measured without synchronising at each step."""

from __future__ import annotations

import time
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from heritage.data.batch import Batch


class ThroughputMonitor(Callback):
    """Logs the mean training loss, images/s and the percentage of time spent waiting for data of each epoch.

    On CUDA it also logs the peak of allocated memory during the epoch, in GiB.

    The loss is summed on the device. Times are measured on the host, which runs ahead of a GPU, so they are
    exact for an epoch but not for a single step.

    Attributes:
        images_seen: Images shown since the start of the run, on all ranks.
    """

    def __init__(self) -> None:
        self.images_seen = 0
        self._reset()

    @property
    def state_key(self) -> str:
        """The key of its state in a checkpoint, as version 0.1 wrote it."""
        return "Meter"

    def _reset(self) -> None:
        self._loss: torch.Tensor | None = None
        self._images = 0
        self._resumed_with = 0
        self._waited = 0.0
        self._began = self._ended = time.perf_counter()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Reset the sums of the epoch."""
        self._reset()
        if pl_module.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(pl_module.device)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        """Add the time since the end of the last step to the waiting time."""
        self._waited += time.perf_counter() - self._ended

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Add the loss and the images of a step."""
        images = len(batch.targets)
        # Lightning divides the loss by accumulate_grad_batches.
        loss = outputs["loss"].detach() * (trainer.accumulate_grad_batches * images)
        self._loss = loss if self._loss is None else self._loss.to(loss.device) + loss
        self._images += images
        self.images_seen += images * trainer.world_size
        self._ended = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the metrics of the epoch.

        They are sent to the loggers here: Lightning would send them only after the epoch's checkpoint is
            saved, and a
        run that is stopped in between and resumes from that checkpoint would never log them.
        """
        if self._loss is None:
            return
        seconds = max(self._ended - self._began, 1e-9)
        metrics: dict[str, torch.Tensor | float] = {
            "train/loss": self._loss / self._images,
            "train/images_per_second": (self._images - self._resumed_with) * trainer.world_size / seconds,
            "train/data_wait_percent": 100 * self._waited / seconds,
        }
        pl_module.log_dict(metrics, sync_dist=True, logger=False)
        if pl_module.device.type == "cuda":
            metrics["train/gpu_memory_gib"] = torch.cuda.max_memory_allocated(pl_module.device) / 2**30
            pl_module.log("train/gpu_memory_gib", metrics["train/gpu_memory_gib"],
                          sync_dist=True, reduce_fx="max", logger=False)  # fmt: skip
        reduced = trainer.callback_metrics  # read on every rank, since it synchronises
        row = {name: float(reduced[name]) for name in metrics}
        for logger in trainer.loggers:
            logger.log_metrics({**row, "epoch": trainer.current_epoch}, step=trainer.global_step - 1)
            logger.save()

    def state_dict(self) -> dict[str, Any]:
        """Return the images seen, and the sums of the epoch."""
        loss = None if self._loss is None else self._loss.item()
        return {"images_seen": self.images_seen, "images": self._images, "loss": loss}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue counting."""
        self.images_seen, self._images = state_dict["images_seen"], state_dict["images"]
        if state_dict["loss"] is not None:
            self._loss = torch.tensor(state_dict["loss"])

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock; `on_train_epoch_start` is not called for a resumed epoch."""
        self._resumed_with = self._images
        self._waited = 0.0
        self._began = self._ended = time.perf_counter()
