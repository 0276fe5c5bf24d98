"""The LightningModule: a network, its normalisation, a loss, an optimizer and the metrics of an epoch.

Logging and per-batch metrics dominate the cost of a Lightning step, so the loss and a confusion matrix are
accumulated on the device and read once per epoch.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.trainer.states import TrainerFn
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassConfusionMatrix

from heritage.core.numbers import counted
from heritage.data.batch import Batch
from heritage.errors import ConfigError, TrainingError
from heritage.features.predict_loop import ModelOutputs
from heritage.metrics.finite import DIVERGED_REMEDY, finite_rows, not_finite_note
from heritage.metrics.registry import METRICS, logged_metrics, logged_names
from heritage.models.checkpoint import read_checkpoint, rebuild_network
from heritage.models.network import input_spec
from heritage.models.normalize import Normalize
from heritage.models.weights import INITIAL_WEIGHTS, OUR_RECORD
from heritage.runs.training_images import RECORD
from heritage.training.mixing import Mixing
from heritage.training.resumed_state import ResumedState

_log = logging.getLogger(__name__)

Optimizer = Callable[[nn.Module], torch.optim.Optimizer]
Scheduler = Callable[[torch.optim.Optimizer, int], dict[str, Any]]


def validation_metrics(classes: Sequence[str]) -> tuple[str, ...]:
    """Return the names of all metrics that validation logs."""
    return "val/loss", *(f"val/{name}" for name in logged_names(classes))


def higher_is_better(name: str) -> bool:
    """Return whether larger values of a metric of `validation_metrics` are better."""
    metric = METRICS.get(name.removeprefix("val/"))
    return name != "val/loss" if metric is None else metric.higher_is_better


class Classifier(pl.LightningModule):
    """Trains a network to classify artefacts.

    A batch is a `heritage.data.Batch` of `heritage.ArtefactDataModule`. The trainer's ``fit``, ``validate``,
    ``test`` and ``predict`` are supported.

    Args:
        net: Normalised images (B, 3, S, S) to logits (B, K), with an ``input_spec``.
        classes: The class list, length K.
        criterion: Logits (B, K) and targets (B,) or (B, K) to the training loss; None is cross entropy.
        optimizer: Creates the optimizer of the network; training requires it.
        scheduler: Creates the learning-rate schedule from the optimizer and the number of steps; None keeps
            the rate.
        mixing: Augments normalised training batches on the device; None does not.
        total_steps: Optimizer steps of the whole run; None takes the trainer's estimate.
        seed: Random seed of dropout, stochastic depth and mixing.
        metadata: Plain data saved in every checkpoint: configuration, data fingerprint. They are also the
            module's ``hparams``, which Lightning's loggers record.

    Example:
        >>> run = heritage.build(heritage.compose("train", tiny, data__root=class_folders))
        >>> run.trainer.fit(run.classifier, datamodule=run.data)
        >>> sorted(run.trainer.test(run.classifier, datamodule=run.data, verbose=False)[0])[:3]
        ['test/accuracy', 'test/balanced_accuracy', 'test/loss']
    """

    def __init__(
        self,
        net: nn.Module,
        classes: Sequence[str],
        *,
        criterion: nn.Module | None = None,
        optimizer: Optimizer | None = None,
        scheduler: Scheduler | None = None,
        mixing: Mixing | None = None,
        total_steps: int | None = None,
        seed: int = 0,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        spec = input_spec(net)
        self.net = net
        self.classes = tuple(classes)
        self.normalize = Normalize(spec.mean, spec.std)
        self.criterion = nn.CrossEntropyLoss() if criterion is None else criterion
        self.mixing = mixing
        self.total_steps = total_steps
        self.seed = seed
        self.metadata = {**(metadata or {}), "classes": list(classes)}
        self.save_hyperparameters(self.metadata)
        # with one more class for images for which the output is not finite, as prediction and as target
        self.confusion = MulticlassConfusionMatrix(len(self.classes) + 1)
        self.mean_loss = MeanMetric()
        self._optimizer = optimizer
        self._scheduler = scheduler
        self.started = False  # whether training has begun, after a checkpoint was restored
        self._resumed: ResumedState | None = None  # until it is restored
        self._latest_macro_f1: float | None = None  # of this epoch, until a plateau schedule has read it

    @classmethod
    def load_from_checkpoint(
        cls,
        checkpoint_path: Any,
        map_location: Any = None,
        hparams_file: Any = None,
        strict: bool | None = None,
        weights_only: bool | None = True,
        **kwargs: Any,
    ) -> Self:
        """Load a classifier for validation, testing and prediction.

        The network is rebuilt from the configuration in the checkpoint; nothing else that the configuration
        names is. To train it further, pass an ``optimizer``, or use ``model.weights=<checkpoint>`` or
        ``resume=<run folder>`` of ``heritage train``.

        Args:
            checkpoint_path: A checkpoint of ``heritage train``, or a run folder for its best one.
            map_location: The device of the weights; None is the CPU.
            hparams_file: Must be None: the checkpoint holds all hyper-parameters.
            strict: All weights must fit, so False is refused.
            weights_only: The file is never unpickled as code, so False is refused.
            **kwargs: Further arguments of the constructor, such as ``optimizer``.

        Raises:
            CheckpointError: The file is missing or damaged, or its network cannot be rebuilt.

        Example:
            >>> classifier = heritage.Classifier.load_from_checkpoint(run_folder)
            >>> classifier.classes[:2]
            ('egyptian', 'grecoroman')
        """
        if hparams_file is not None or strict is False or weights_only is False:
            raise ConfigError(
                "hparams_file, strict=False and weights_only=False are not supported",
                where="Classifier.load_from_checkpoint",
                remedy="leave them out: the checkpoint holds all that is needed",
            )
        checkpoint = read_checkpoint(checkpoint_path)
        metadata = {"config": checkpoint.config, "fingerprint": checkpoint.fingerprint}
        if checkpoint.training_images is not None:
            metadata[RECORD] = checkpoint.training_images.record()
        if checkpoint.initial_weights is not None:
            metadata[INITIAL_WEIGHTS] = checkpoint.initial_weights.record()
        settings: dict[str, Any] = {
            "seed": int(checkpoint.config.get("seed", 0)),
            "metadata": metadata,
        } | kwargs
        classifier = cls(rebuild_network(checkpoint), checkpoint.classes, **settings)
        return classifier if map_location is None else classifier.to(torch.device(map_location))

    def set_scheduler(self, scheduler: Scheduler) -> None:
        """Replace the schedule before training starts."""
        self._scheduler = scheduler

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits (B, K) of uint8 images (B, S, S, 3)."""
        return cast("torch.Tensor", self.net(self.normalize(images)))

    def on_train_start(self) -> None:
        """Record that a checkpoint, if any, has been restored."""
        self.started = True

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Seed a step's random numbers (dropout, stochastic depth, mixing) from (seed, rank, epoch, step).

        As for the order of the data, the result does not depend on where a run was interrupted.
        """
        self.seed_step(self.current_epoch, batch_idx)

    def seed_step(self, epoch: int, step: int) -> None:
        """Seed the random number generators for a step."""
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
        """Return the network's input for a batch, images (B, 3, S, S), and targets (B,) or (B, K)."""
        images = self.normalize(batch.images)
        if self.mixing is None:
            return images, batch.targets
        return self.mixing(images, batch.targets, len(self.classes))

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Update the confusion matrix and the validation loss."""
        self._update_metrics(batch)

    def on_validation_epoch_end(self) -> None:
        """Log the metrics of the validation split."""
        macro_f1 = self._log_metrics("val")
        if not self.trainer.sanity_checking:
            self._latest_macro_f1 = macro_f1

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Update the confusion matrix and the test loss."""
        self._update_metrics(batch)

    def on_test_epoch_end(self) -> None:
        """Log the metrics of the test split."""
        self._log_metrics("test")

    def predict_step(self, batch: Batch, batch_idx: int) -> ModelOutputs:
        """Return the predictions of a batch; `ModelOutputs.concatenate` joins those of an epoch.

        Images for which the output is not finite are left out, with a warning.
        """
        outputs = ModelOutputs(
            batch.rows.cpu().numpy(), batch.targets.cpu().numpy(), self(batch.images).float().cpu().numpy()
        )
        finite = finite_rows(outputs.logits)
        if not finite.all():
            _log.warning("%s", not_finite_note(int((~finite).sum()), len(finite)))
        return ModelOutputs(outputs.rows[finite], outputs.targets[finite], outputs.logits[finite])

    def _update_metrics(self, batch: Batch) -> None:
        logits = self(batch.images).float()
        finite, none = torch.isfinite(logits).all(dim=1), len(self.classes)
        predicted, targets = logits.argmax(dim=1), batch.targets
        self.confusion.update(predicted.where(finite, none), targets.where(finite, none))
        losses = nn.functional.cross_entropy(logits, targets, reduction="none")
        self.mean_loss.update(losses.where(finite, 0.0), finite.float())

    def _log_metrics(self, split: str) -> float:
        """Log the accumulated metrics, reset them and return the macro-F1.

        Raises:
            TrainingError: The output is finite for no image.
        """
        confusion = self.confusion.compute().cpu().numpy().astype(np.int64)
        self._report_not_finite(split, int(confusion[-1, -1]), int(confusion.sum()))
        metrics = logged_metrics(confusion[:-1, :-1], self.classes)
        values = {f"{split}/loss": float(self.mean_loss.compute())}
        values |= {f"{split}/{name}": value for name, value in metrics.items()}
        # All ranks have computed the same values; Lightning warns without sync_dist.
        self.log_dict(values, sync_dist=True)
        self.confusion.reset()
        self.mean_loss.reset()
        return metrics["macro_f1"]

    def _report_not_finite(self, split: str, count: int, images: int) -> None:
        if count and count == images:
            raise TrainingError(
                f"no prediction for any of {counted(images, f'{split} image')} in epoch "
                f"{self.current_epoch + 1}: the network's output is not finite",
                where="network",
                remedy=f"the training diverged: {DIVERGED_REMEDY}",
            )
        if count and self.trainer.is_global_zero:
            _log.warning("epoch %d, %s: %s", self.current_epoch + 1, split, not_finite_note(count, images))

    def on_train_epoch_end(self) -> None:
        """Step a plateau schedule with the epoch's validation metric before the epoch is saved.

        Lightning would step it afterwards, and not at all in a run that resumes from that checkpoint.
        """
        metric, self._latest_macro_f1 = self._latest_macro_f1, None
        for config in self.trainer.lr_scheduler_configs:
            if metric is not None and isinstance(config.scheduler, ReduceLROnPlateau):
                config.scheduler.step(metric)

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """Step a schedule; `on_train_epoch_end` steps plateaus."""
        if not isinstance(scheduler, ReduceLROnPlateau):
            super().lr_scheduler_step(scheduler, metric)

    def configure_optimizers(self) -> Any:
        """Return the optimizer and its schedule.

        Raises:
            ConfigError: The classifier was made without an optimizer.
        """
        if self._optimizer is None:
            raise ConfigError(
                "no optimizer to train with",
                where="Classifier",
                remedy="pass optimizer=…, a function of the network that returns a torch optimizer",
            )
        optimizer = self._optimizer(self.net)
        if self.total_steps is None:
            self.total_steps = int(self.trainer.estimated_stepping_batches)
        schedule = None if self._scheduler is None else self._scheduler(optimizer, self.total_steps)
        if self._resumed is not None:
            scheduler = None if schedule is None else schedule["scheduler"]
            self._resumed.check_optimizer(optimizer, scheduler, self._optimizer, self.net)
            self._resumed = None
        if schedule is None:
            return optimizer
        if "monitor" in schedule:  # it can step only after a validation
            schedule["frequency"] = self.trainer.check_val_every_n_epoch
        return {"optimizer": optimizer, "lr_scheduler": schedule}

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the norm of all gradients together.

        Lightning refuses to clip for fused optimizers under mixed precision, since these unscale gradients
        inside their step. Clipping scaled gradients at the scaled norm is equivalent.
        """
        if gradient_clip_val is None:
            return
        scaler = getattr(self.trainer.precision_plugin, "scaler", None)
        scale = scaler.get_scale() if scaler is not None else 1.0
        nn.utils.clip_grad_norm_(self.net.parameters(), gradient_clip_val * scale)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Check the state that training resumes from, before Lightning restores it.

        Raises:
            CheckpointError: It is damaged or does not fit this run.
        """
        if self.trainer.state.fn == TrainerFn.FITTING:
            self._resumed = ResumedState(checkpoint, Path(str(self.trainer.ckpt_path)))
            self._resumed.check_progress(self.trainer)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the metadata beside the weights: later commands need nothing but the checkpoint."""
        checkpoint[OUR_RECORD] = self.metadata
