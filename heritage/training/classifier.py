"""The LightningModule: a network, its normalisation, a loss, an optimiser, and the bookkeeping of an epoch.

What costs time in a Lightning step is logging and per-batch metrics, so sums and a confusion matrix
stay on the device and become numbers once an epoch.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import pytorch_lightning as pl
import torch
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassConfusionMatrix

from heritage.data.batch import Batch
from heritage.metrics.registry import logged_metrics, logged_names
from heritage.models.normalize import Normalize
from heritage.models.weights import OUR_RECORD
from heritage.training.mixing import Mixing

Optimizer = Callable[[nn.Module], torch.optim.Optimizer]
Scheduler = Callable[[torch.optim.Optimizer, int], dict[str, Any]]


def validation_figures(classes: Sequence[str]) -> tuple[str, ...]:
    """Return the names of all metrics that validation logs."""
    return "val/loss", *(f"val/{name}" for name in logged_names(classes))


class Classifier(pl.LightningModule):
    """Trains a network to tell civilisations apart.

    Args:
        net: Normalised images (B, 3, S, S) to logits (B, K).
        normalize: uint8 images (B, S, S, 3) to the network's input, on the device.
        criterion: The loss.
        mixing: What happens to a normalised training batch on the device; None is nothing.
        optimizer: Makes the optimiser of the network.
        scheduler: Makes the learning-rate schedule of an optimiser and a number of steps.
        total_steps: Optimiser steps of the whole run.
        classes: The class list, length K.
        seed: The run's seed.
        record: Plain data that every checkpoint carries (configuration, classes, fingerprint).
    """

    def __init__(
        self,
        net: nn.Module,
        normalize: Normalize,
        criterion: nn.Module,
        mixing: Mixing | None,
        optimizer: Optimizer,
        scheduler: Scheduler,
        total_steps: int,
        classes: tuple[str, ...],
        seed: int,
        record: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self.net = net
        self.normalize = normalize
        self.criterion = criterion
        self.mixing = mixing
        self._optimizer = optimizer
        self._scheduler = scheduler
        self.total_steps = total_steps
        self.classes = classes
        self.seed = seed
        self.record = dict(record)
        self.confusion = MulticlassConfusionMatrix(len(classes))
        self.val_loss = MeanMetric()
        self._newest_macro_f1: float | None = None  # of this epoch, until a plateau has looked at it

    def take_schedule(self, scheduler: Scheduler) -> None:
        """Take another schedule than the run's, before training starts."""
        self._scheduler = scheduler

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits (B, K) of uint8 images (B, S, S, 3)."""
        return cast("torch.Tensor", self.net(self.normalize(images)))

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Seed what is random in a step (dropout, drop path, mixing) by (seed, rank, epoch, step) alone.

        Like the data's order, it then does not matter where a run was interrupted.
        """
        self.seed_step(self.current_epoch, batch_idx)

    def seed_step(self, epoch: int, step: int) -> None:
        """Start the random streams of a step."""
        place = [self.seed, self.global_rank, epoch, step]
        seed = int(np.random.SeedSequence(place).generate_state(1)[0])
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002  timm's mixing draws from it

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        """Return the loss of a batch."""
        images, targets = self.augmented(batch)
        loss: torch.Tensor = self.criterion(self.net(images), targets)
        return loss

    def augmented(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what the network sees of a batch: images (B, 3, S, S), targets (B,) or (B, K)."""
        images = self.normalize(batch.images)
        if self.mixing is None:
            return images, batch.targets
        return self.mixing(images, batch.targets, len(self.classes))

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Count a batch's answers."""
        logits = self(batch.images)
        self.confusion.update(logits.argmax(dim=1), batch.targets)
        self.val_loss.update(nn.functional.cross_entropy(logits.float(), batch.targets), len(batch.targets))

    def on_validation_epoch_end(self) -> None:
        """Log the metrics of the whole validation split."""
        metrics = logged_metrics(self.confusion.compute().cpu().numpy().astype(np.int64), self.classes)
        figures = {"val/loss": float(self.val_loss.compute())}
        figures |= {f"val/{name}": value for name, value in metrics.items()}
        self._newest_macro_f1 = metrics["macro_f1"]
        # The metrics are those of all ranks already; saying so again costs a mean of equal numbers.
        self.log_dict(figures, sync_dist=True)
        self.confusion.reset()
        self.val_loss.reset()

    def on_train_epoch_end(self) -> None:
        """Let a plateau look at the epoch's validation before the epoch is saved.

        Lightning would do so afterwards, and not at all in a run that goes on from what was saved.
        """
        figure, self._newest_macro_f1 = self._newest_macro_f1, None
        for config in self.trainer.lr_scheduler_configs:
            if figure is not None and isinstance(config.scheduler, ReduceLROnPlateau):
                config.scheduler.step(figure)

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """Move a schedule; a plateau has moved by itself."""
        if not isinstance(scheduler, ReduceLROnPlateau):
            super().lr_scheduler_step(scheduler, metric)

    def configure_optimizers(self) -> Any:
        """Return the optimiser and its schedule."""
        optimizer = self._optimizer(self.net)
        schedule = self._scheduler(optimizer, self.total_steps)
        if "monitor" in schedule:  # it can move when there has been a validation
            schedule["frequency"] = self.trainer.check_val_every_n_epoch
        return {"optimizer": optimizer, "lr_scheduler": schedule}

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the norm of all gradients together.

        Lightning refuses to clip for fused optimisers under mixed precision, since these undo the
        loss's scaling inside their step. Scaled gradients clipped at a scaled norm come to the same.
        """
        if gradient_clip_val is None:
            return
        scaler = getattr(self.trainer.precision_plugin, "scaler", None)
        scale = scaler.get_scale() if scaler is not None else 1.0
        nn.utils.clip_grad_norm_(self.net.parameters(), gradient_clip_val * scale)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Put the record beside the weights: later commands need nothing but the checkpoint."""
        checkpoint[OUR_RECORD] = self.record
