"""Options of Lightning's Trainer: the usual arguments by name, all others through ``extra``."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pydantic import Field
from pytorch_lightning.callbacks import Callback, ProgressBar
from pytorch_lightning.loggers import Logger
from pytorch_lightning.strategies import StrategyRegistry

from heritage.config.faults import FaultyConfigError
from heritage.config.validate import value_faults
from heritage.core.taxonomy import suggestion
from heritage.core.types import NonNegativeInt, PositiveFloat, PositiveInt
from heritage.errors import ConfigError
from heritage.models.precision import Precision
from heritage.training.callbacks.checkpoints import AtomicCheckpointIO
from heritage.training.callbacks.last_validation import LastValidation
from heritage.training.devices import device_type

Limit = PositiveInt | Annotated[float, Field(gt=0, le=1)]
Accelerator = Literal["auto", "cpu", "gpu", "mps"]

# Arguments that `extra` may not name, and what to set instead.
_RESERVED = {
    "callbacks": "choose callbacks=…",
    "enable_checkpointing": "set callbacks.best and callbacks.safeguard to null",
    "enable_progress_bar": "set callbacks.progress to null",
    "default_root_dir": "set hydra.run.dir",
    "logger": "choose logger=…",
    "gradient_clip_algorithm": "gradients are clipped by their norm, trainer.gradient_clip_val",
} | dict.fromkeys(
    ("plugins", "reload_dataloaders_every_n_epochs", "use_distributed_sampler", "num_sanity_val_steps",
     "enable_model_summary", "barebones"),
    "leave it out: training relies on its value",
)  # fmt: skip


@dataclass(frozen=True)
class TrainerOptions:
    """The options of the group ``trainer``, from which `build` makes Lightning's Trainer.

    Attributes:
        max_epochs: Epochs to train; None is limited by ``max_steps`` only.
        max_steps: Maximum number of optimizer steps; -1 is no limit.
        max_samples: Training images in all, instead of epochs: a fair comparison of runs whose sampling
            gives epochs different lengths. `heritage.training.length` applies this and ``max_steps``,
            because Lightning resumes a finished epoch in the wrong one if it counts steps itself.
        accelerator: Where to compute; ``auto`` uses a GPU if there is one.
        devices: Number of devices, a list of them, or ``auto`` for all GPUs or one CPU process.
        num_nodes: Number of machines that train together.
        strategy: Lightning's name of the distributed strategy (``auto``, ``ddp``, …).
        precision: Precision, as chosen for the network.
        accumulate_grad_batches: Batches whose gradients are accumulated for one step.
        gradient_clip_val: Maximum norm of the gradient; None does not clip.
        check_val_every_n_epoch: Epochs between validations.
        limit_train_batches: Number or fraction of training batches per epoch.
        limit_val_batches: The same for validation; 0 skips it.
        log_every_n_steps: Steps between logged values.
        deterministic: Refuse nondeterministic operations.
        overfit_batches: Train on so many batches only, the same in every epoch; 0 uses all.
        fast_dev_run: Run one batch of everything and write nothing.
        detect_anomaly: Find the operation that produces a NaN (slow).
        extra: Further arguments of `pytorch_lightning.Trainer` by name.
    """

    max_epochs: PositiveInt | None
    max_steps: Annotated[int, Field(ge=-1)]
    max_samples: PositiveInt | None
    accelerator: Accelerator
    devices: PositiveInt | Literal["auto"] | list[int]
    num_nodes: PositiveInt
    strategy: str
    precision: Precision
    accumulate_grad_batches: PositiveInt
    gradient_clip_val: PositiveFloat | None
    check_val_every_n_epoch: PositiveInt
    limit_train_batches: Limit | None
    limit_val_batches: Limit | Literal[0] | None
    log_every_n_steps: PositiveInt
    deterministic: bool | Literal["warn"]
    overfit_batches: NonNegativeInt
    fast_dev_run: bool
    detect_anomaly: bool
    extra: dict[str, Any]

    def build(
        self, *, callbacks: list[Callback], loggers: list[Logger], run_folder: str, constant_length: bool
    ) -> pl.Trainer:
        """Build the Trainer.

        Args:
            callbacks: The callbacks.
            loggers: The loggers.
            run_folder: Lightning's ``default_root_dir``.
            constant_length: Whether all epochs have the same number of steps; otherwise the loader is
                rebuilt for each.

        Raises:
            ConfigError: The accelerator or the strategy is not available, the device does not support the
                precision, or the Trainer does not have an argument of ``extra``.
        """
        self._require_possible()
        on_cpu = device_type(self.accelerator) == "cpu"
        # With `deterministic`, torch fills new tensors to reveal reads of uninitialised memory: slow.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        with warnings.catch_warnings(), _as_config_error():
            # Lightning advises to install litmodels and to use srun, neither of which applies.
            warnings.filterwarnings("ignore", message=".*srun.*")
            return pl.Trainer(
                max_epochs=-1 if self.max_epochs is None or self.max_samples is not None else self.max_epochs,
                accelerator=self.accelerator,
                devices=1 if self.devices == "auto" and on_cpu else self.devices,
                num_nodes=self.num_nodes,
                strategy=self.strategy,
                precision=self.precision,  # type: ignore[arg-type]
                accumulate_grad_batches=self.accumulate_grad_batches,
                gradient_clip_val=self.gradient_clip_val,
                check_val_every_n_epoch=self.check_val_every_n_epoch,
                limit_train_batches=self.limit_train_batches,
                limit_val_batches=self.limit_val_batches,
                log_every_n_steps=self.log_every_n_steps,
                deterministic=self.deterministic,
                overfit_batches=self.overfit_batches,
                fast_dev_run=self.fast_dev_run,
                detect_anomaly=self.detect_anomaly,
                callbacks=[*callbacks, LastValidation()],
                reload_dataloaders_every_n_epochs=0 if constant_length else 1,
                logger=loggers or False,
                enable_progress_bar=any(isinstance(part, ProgressBar) for part in callbacks),
                default_root_dir=run_folder,
                plugins=[AtomicCheckpointIO(), *_cluster_environment()],
                use_distributed_sampler=False,  # the loader's plan distributes images over ranks
                num_sanity_val_steps=0,
                enable_model_summary=False,
                **self.extra,
            )

    def _require_possible(self) -> None:
        """Check that this machine has what the options need, and that they do not contradict each other."""
        _refuse_unknown(self.extra)
        _refuse_strategy(self.strategy)
        on_cpu = device_type(self.accelerator) == "cpu"
        _refuse_length(self.max_epochs, self.max_steps, self.max_samples)
        if self.max_samples is not None:
            _refuse_fractions(self.limit_train_batches, self.overfit_batches)
        if on_cpu:
            _refuse_on_cpu(self.precision, self.devices)


@contextlib.contextmanager
def _as_config_error() -> Iterator[None]:
    try:
        yield
    except (MisconfigurationException, ValueError, TypeError, AttributeError) as error:
        raise ConfigError(
            str(error).partition("\n")[0], where="trainer", remedy="change this option of trainer"
        ) from error


def _cluster_environment() -> list[ClusterEnvironment]:
    """Return the environment of a Slurm job, without requeueing, which submitit does."""
    return [SLURMEnvironment(auto_requeue=False)] if SLURMEnvironment.detect() else []


def _refuse_length(max_epochs: int | None, max_steps: int, max_samples: int | None) -> None:
    if max_steps == 0:
        raise ConfigError(
            "a run needs at least one step",
            where="trainer.max_steps=0",
            remedy="give 1 or more, or -1 for no limit",
        )
    if max_epochs is None and max_steps == -1 and max_samples is None:
        raise ConfigError(
            "the run has no end",
            where="trainer.max_epochs",
            remedy="give max_epochs, max_steps or max_samples",
        )
    if max_samples is not None and max_steps != -1:
        raise ConfigError(
            "max_samples and max_steps both limit the run",
            where="trainer.max_samples",
            remedy="give one of them",
        )


def _refuse_fractions(limit_train_batches: Limit | None, overfit_batches: Limit | Literal[0]) -> None:
    """Refuse limits of an epoch together with ``max_samples``, which counts the images of whole epochs."""
    limits = {"limit_train_batches": limit_train_batches, "overfit_batches": overfit_batches}
    for name, limit in limits.items():
        if limit and not (isinstance(limit, float) and limit == 1.0):  # 1 is one batch, 1.0 all of them
            raise ConfigError(
                "max_samples counts whole epochs, and this limits them",
                where=f"trainer.{name}={limit}",
                remedy="give one of them",
            )


def _refuse_on_cpu(precision: Precision, devices: int | str | list[int]) -> None:
    if precision == "16-mixed":
        raise ConfigError(
            "half precision needs a GPU",
            where=f"trainer.precision={precision}",
            remedy="use bf16-mixed or auto",
        )
    if isinstance(devices, list):
        raise ConfigError(
            "CPU devices have no indices",
            where=f"trainer.devices={devices}",
            remedy="give a number of processes",
        )


def _refuse_unknown(extra: dict[str, Any]) -> None:
    known = set(inspect.signature(pl.Trainer.__init__).parameters) - {"self"}
    own = known & {field.name for field in dataclasses.fields(TrainerOptions)}
    for name in extra:
        if name in _RESERVED:
            raise ConfigError("cannot be set here", where=f"trainer.extra.{name}", remedy=_RESERVED[name])
        if name in own:
            raise ConfigError(
                "has its own key", where=f"trainer.extra.{name}", remedy=f"set trainer.{name} instead"
            )
        if name not in known:
            raise ConfigError(
                "Lightning's Trainer has no such argument",
                where=f"trainer.extra.{name}",
                remedy=suggestion(name, known, "see its documentation"),
            )
    if faults := value_faults("trainer.extra", pl.Trainer, extra):
        raise FaultyConfigError(faults)


def _refuse_strategy(strategy: str) -> None:
    known = {"auto", *StrategyRegistry.available_strategies()}
    if strategy not in known:
        raise ConfigError(
            "Lightning has no such strategy",
            where=f"trainer.strategy={strategy}",
            remedy=suggestion(strategy, known, "use auto or ddp"),
        )


def quiet_lightning() -> None:
    """Silence Lightning's tips, and warnings about choices that this package makes on purpose."""
    import logging

    os.environ.setdefault("PYTORCH_LIGHTNING_TIPS", "0")
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers which may be a bottleneck.*",
        ".*is smaller than the logging interval.*",
        ".*Checkpoint directory .* exists and is not empty.*",
        ".*Experiment logs directory .* exists and is not empty.*",
        ".*could not find the monitored key.*",  # a run may end before its first validation
        ".*isinstance\\(treespec, LeafSpec\\).*",
        ".*`srun` command is available.*",
    ):
        warnings.filterwarnings("ignore", message=message)
