"""The options of ``finetune=probe``, and what a probe has no use for."""

from __future__ import annotations

from typing import Annotated, Literal

from omegaconf import DictConfig
from pydantic import Field
from torch import nn

from heritage.core.types import PositiveFloat, PositiveInt
from heritage.errors import ConfigError
from heritage.models.finetune import TrainableReport, set_trainable
from heritage.models.heads import COSINE, KNN, classifier_path
from heritage.probes.heads import LogisticProbe, NeighbourProbe, Probe, PrototypeProbe, RidgeProbe
from heritage.runs.hydra_node import hydra_node
from heritage.runs.setting_keys import key_of
from heritage.training.callbacks.finetuning import FineTuning

ProbeHead = Literal["logistic", "ridge", "prototypes", "knn"]
Folds = Annotated[int, Field(ge=2, strict=True)]
Penalties = Annotated[list[PositiveFloat], Field(min_length=1)]
Temperatures = Annotated[list[PositiveFloat], Field(min_length=1)]
Counts = Annotated[list[PositiveInt], Field(min_length=1)]
Switches = Annotated[list[bool], Field(min_length=1)]

PROBE = "heritage.training.probe_options.ProbeOptions"

NOT_USED = (
    "augment, optimizer, scheduler, recipe, callbacks, logger, label smoothing and the trainer's epochs: it "
    "is fitted to the stored features of unaugmented images"
)
"""What a run prints at its start, and the report repeats."""

_NETWORK_HEADS = {"prototypes": COSINE, "knn": KNN}
_NO_USE = (
    "augment", "optimizer", "scheduler", "recipe", "callbacks", "logger", "compile", "lr_find",
    "balance.loss.label_smoothing", "balance.schedule", "model.head", "model.drop_rate",
    "model.drop_path_rate", "model.grad_checkpointing",
)  # fmt: skip
_OF_DEVICE = ("trainer.accelerator", "trainer.precision", "trainer.devices", "trainer.deterministic")


class ProbeOptions(FineTuning):
    """Fits a head to the frozen features of a network, instead of training it.

    Lists are grids: the best combination is chosen by cross-validation inside the training split, whose
    groups are never in different folds.

    Args:
        head: ``logistic`` (multinomial logistic regression), ``ridge``, ``prototypes`` (class means by
            cosine similarity) or ``knn`` (nearest neighbours by cosine similarity).
        folds: Folds of the cross-validation.
        penalty: Of ``logistic`` and ``ridge``: the L2 penalties α of the mean loss.
        standardise: Of ``logistic`` and ``ridge``: whether each feature is divided by its standard deviation,
            or all by the same number.
        neighbours: Of ``knn``: neighbours that vote.
        temperature: Of ``knn``: a neighbour's vote is exp(similarity / temperature).
        centre: Of ``prototypes`` and ``knn``: whether the mean feature is subtracted before features are
            scaled to length 1.
    """

    def __init__(
        self,
        head: ProbeHead,
        folds: Folds,
        penalty: Penalties,
        standardise: Switches,
        neighbours: Counts,
        temperature: Temperatures,
        centre: Switches,
    ) -> None:
        super().__init__("head", 0, "layers", unfreeze_every=None, fresh_classifier=False)
        self.head: ProbeHead = head
        self.folds = folds
        self._penalty = penalty
        self._standardise = standardise
        self._neighbours = neighbours
        self._temperature = temperature
        self._centre = centre

    def probe(self) -> Probe:
        """Return the head with its grid."""
        match self.head:
            case "logistic":
                return LogisticProbe(self._penalty, self._standardise)
            case "ridge":
                return RidgeProbe(self._penalty, self._standardise)
            case "prototypes":
                return PrototypeProbe(self._centre)
            case "knn":
                return NeighbourProbe(self._neighbours, self._temperature, self._centre)

    def prepare(self, net: nn.Module) -> TrainableReport:
        """Check that the network's classifier can be replaced.

        Raises:
            ConfigError: It is not one linear layer with a bias.
        """
        path = classifier_path(net, self.head)
        if net.get_submodule(path).bias is None:
            raise ConfigError(
                f"the classifier of {type(net).__name__} has no bias, which a probe fits",
                where="finetune=probe",
                remedy="use another network",
            )
        return set_trainable(net, "head", 0, "layers")


def is_probe(cfg: DictConfig) -> bool:
    """Return whether a configuration fits a probe."""
    return str(cfg.finetune.get("_target_")) == PROBE


def prepare_probe(cfg: DictConfig) -> None:
    """Name the head that the probe's network will have, and leave out what a probe does not use.

    Args:
        cfg: The configuration of ``train``; it is changed.

    Raises:
        ConfigError: An option is given that has no effect on a probe.
    """
    refuse_unused(cfg)
    cfg.model.head = _NETWORK_HEADS.get(cfg.finetune.head)
    cfg.compile = False
    cfg.callbacks = {}
    cfg.logger = {}


def refuse_unused(cfg: DictConfig) -> None:
    """Refuse options of the command line that have no effect on a probe.

    Raises:
        ConfigError: There is one; or there are several processes.
    """
    node = hydra_node(cfg)
    words = [] if node is None else [str(word) for word in node.overrides.task]
    given = [word for word in words if _has_no_use(word)]
    if given:
        raise ConfigError(
            "a probe is fitted to stored features without training, so this has no effect",
            where=", ".join(given),
            remedy="leave it out, or choose another finetune",
        )
    if cfg.trainer.devices not in ("auto", 1, [0]) or cfg.trainer.num_nodes != 1:
        raise ConfigError(
            "a probe is fitted by one process",
            where=f"trainer.devices={cfg.trainer.devices}",
            remedy="use trainer.devices=1; `heritage embed shard=…` computes features by several jobs",
        )


def _has_no_use(word: str) -> bool:
    key = key_of(word).replace("/", ".")
    if key == "trainer":
        return word.partition("=")[2] not in ("cpu", "gpu", "default")
    if key.startswith("trainer."):
        return key not in _OF_DEVICE
    if key in ("logger", "balance.schedule") and word.endswith("=none"):
        return False
    return any(key == name or key.startswith(f"{name}.") for name in _NO_USE)
