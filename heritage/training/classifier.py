"""The LightningModule: a network, its normalisation, a loss, an optimiser, and the bookkeeping of an epoch.

What costs time in a Lightning step is logging and per-batch metrics, so sums and a confusion matrix
stay on the device and become numbers once an epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
import pytorch_lightning as pl
import torch
from torch import nn
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassConfusionMatrix

from heritage.data.batch import Batch
from heritage.models.normalize import Normalize
from heritage.scores import scores

Optimizer = Callable[[nn.Module], torch.optim.Optimizer]
Scheduler = Callable[[torch.optim.Optimizer, int], dict[str, Any]]


class Classifier(pl.LightningModule):
    """Trains a network to tell civilisations apart.

    Args:
        net: Normalised images (B, 3, S, S) to logits (B, K).
        normalize: uint8 images (B, S, S, 3) to the network's input, on the device.
        criterion: The loss.
        optimizer: Makes the optimiser of the network.
        scheduler: Makes the learning-rate schedule of an optimiser and a number of steps.
        classes: The class list, length K.
        record: Plain data that every checkpoint carries (configuration, classes, fingerprint).
    """

    def __init__(
        self,
        net: nn.Module,
        normalize: Normalize,
        criterion: nn.Module,
        optimizer: Optimizer,
        scheduler: Scheduler,
        classes: tuple[str, ...],
        record: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self.net = net
        self.normalize = normalize
        self.criterion = criterion
        self._optimizer = optimizer
        self._scheduler = scheduler
        self.classes = classes
        self.record = dict(record)
        self.confusion = MulticlassConfusionMatrix(len(classes))
        self.val_loss = MeanMetric()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits (B, K) of uint8 images (B, S, S, 3)."""
        return cast("torch.Tensor", self.net(self.normalize(images)))

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        """Return the loss of a batch."""
        loss: torch.Tensor = self.criterion(self(batch.images), batch.targets)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Count a batch's answers."""
        logits = self(batch.images)
        self.confusion.update(logits.argmax(dim=1), batch.targets)
        self.val_loss.update(nn.functional.cross_entropy(logits.float(), batch.targets), len(batch.targets))

    def on_validation_epoch_end(self) -> None:
        """Log loss, accuracy and macro-F1 of the whole validation split."""
        found = scores(self.confusion.compute().cpu().numpy().astype(np.int64))
        self.log("val/loss", self.val_loss.compute())
        self.log("val/accuracy", found.accuracy)
        self.log("val/macro_f1", found.macro.f1, prog_bar=True)
        for name, recall in zip(self.classes, found.recall, strict=True):
            self.log(f"val/recall/{name}", float(recall))
        self.confusion.reset()
        self.val_loss.reset()

    def configure_optimizers(self) -> Any:
        """Return the optimiser and its schedule."""
        optimizer = self._optimizer(self.net)
        steps = int(self.trainer.estimated_stepping_batches)
        return {"optimizer": optimizer, "lr_scheduler": self._scheduler(optimizer, max(1, steps))}

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
        checkpoint["heritage"] = self.record
