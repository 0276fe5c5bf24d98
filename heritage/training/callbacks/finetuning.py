"""Fine-tuning: choose which parameters train and when, and keep the statistics of frozen norms."""

from __future__ import annotations

import logging
from typing import Literal

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from torch import nn

from heritage.config.network_parts import AdapterOptions
from heritage.core.types import NonNegativeInt, PositiveInt
from heritage.errors import ConfigError
from heritage.models.finetune import (
    Depth,
    TrainableReport,
    Unit,
    freeze_norm_statistics,
    reset_classifier,
    set_trainable,
    unfreeze_gradually,
)

_log = logging.getLogger(__name__)


class FineTuning(Callback):
    """Freezes parameters, and unfreezes them gradually if configured.

    Args:
        depth: ``full``, ``head`` (the classifier only) or ``last_n``.
        n: Number of units before the classifier that train, with ``last_n``.
        unit: ``layers`` or ``blocks``.
        unfreeze_every: Epochs after which one more block is unfrozen, from the last to the first (Howard &
            Ruder 2018); None keeps the depth.
        fresh_classifier: Reinitialise the classifier after loading weights: the second stage of cRT
            (Kang et al. 2020, section 4.1).
        norms: Train all norms and biases, too.
        adapters: Add adapters to the network and train them, too. `heritage.training.build` adds those of
            ``model.adapters``, which are these unless it is set.
        classifier_init: ``class_means`` starts from the nearest-mean classifier of the training images'
            features, which `heritage.training.build` computes; None from the network's classifier.
    """

    def __init__(
        self,
        depth: Depth,
        n: NonNegativeInt,
        unit: Unit,
        unfreeze_every: PositiveInt | None,
        fresh_classifier: bool,
        norms: bool | None = None,
        adapters: AdapterOptions | None = None,
        classifier_init: Literal["class_means"] | None = None,
    ) -> None:
        if unfreeze_every is not None and (norms or adapters):
            raise ConfigError(
                "gradual unfreezing trains whole blocks in the end, not norms or adapters",
                where="finetune.unfreeze_every",
                remedy="set it to null, or set finetune.norms=null finetune.adapters=null",
            )
        if unfreeze_every is not None and depth != "head":
            raise ConfigError(
                f"gradual unfreezing starts with the classifier only, not with depth={depth}",
                where="finetune.unfreeze_every",
                remedy="set finetune.depth=head",
            )
        self._depth: Depth = depth
        self._n = n
        self._unit: Unit = unit
        self._unfreeze_every = unfreeze_every
        self._fresh_classifier = fresh_classifier and classifier_init is None
        self._norms = bool(norms)
        self._adapters = adapters is not None
        self._units = 0  # the start of the run reports these

    def prepare(self, net: nn.Module) -> TrainableReport:
        """Prepare a network for its first epoch: reset the classifier, freeze parameters.

        Raises:
            ConfigError: The network has fewer than ``n`` units.
        """
        if self._fresh_classifier:
            reset_classifier(net)
        return self.apply(net)

    def apply(self, net: nn.Module, epoch: int = 0) -> TrainableReport:
        """Freeze the parameters that do not train in an epoch.

        Raises:
            ConfigError: The network has fewer than ``n`` units.
        """
        if self._unfreeze_every is not None:
            return unfreeze_gradually(net, epoch, self._unfreeze_every)
        return set_trainable(
            net, self._depth, self._n, self._unit, adapters=self._adapters, norms=self._norms
        )

    def require_synchronised(self, trainer: pl.Trainer) -> None:
        """Refuse gradual unfreezing where processes would not synchronise its gradients.

        DistributedDataParallel registers the trainable parameters once, at the start. Blocks that are
        unfrozen later have to be registered as well, and it must not wait for their gradients.

        Raises:
            ConfigError: There are several processes, and the strategy waits for all gradients.
        """
        if self._unfreeze_every is None or trainer.world_size == 1:
            return
        if not getattr(trainer.strategy, "_ddp_kwargs", {}).get("find_unused_parameters"):
            raise ConfigError(
                "the gradients of blocks that are unfrozen later would not be synchronised between processes",
                where="finetune.unfreeze_every",
                remedy="set trainer.strategy=ddp_find_unused_parameters_true, or trainer.devices=1",
            )

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Unfreeze everything while the strategy registers parameters; `on_train_start` freezes again."""
        if self._unfreeze_every is not None and trainer.world_size > 1:
            _net(pl_module).requires_grad_(True)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Freeze; a run that resumes in mid-epoch has no `on_train_epoch_start`."""
        self._freeze(trainer, pl_module)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Unfreeze a block if it is due."""
        self._freeze(trainer, pl_module)

    def _freeze(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        net = _net(pl_module)
        if self._unfreeze_every is not None:
            report = self.apply(net, trainer.current_epoch)
            if report.units != self._units and trainer.is_global_zero:
                _log.info("epoch %d: %s", trainer.current_epoch + 1, report)
            self._units = report.units
        freeze_norm_statistics(net)


def _net(pl_module: pl.LightningModule) -> nn.Module:
    net = pl_module.net
    if not isinstance(net, nn.Module):
        raise TypeError("FineTuning needs a LightningModule with a network `net`")
    return net
