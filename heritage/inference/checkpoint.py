"""Load a trained network from its checkpoint: all that evaluate, explain, predict, export and serve need."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from heritage.config.saved_parts import trust
from heritage.core.notebook import shortened
from heritage.core.numbers import counted
from heritage.data.augment import Interpolation
from heritage.models.adapters import is_mergeable, merge_adapters
from heritage.models.checkpoint import read_checkpoint, rebuild_network
from heritage.models.network import InputSpec, input_spec
from heritage.models.normalize import NormalizedModel
from heritage.models.precision import choose_precision
from heritage.models.views import Views, require_views
from heritage.models.weight_licences import InitialWeights
from heritage.runs.description import RunDescription, read_description
from heritage.runs.training_images import TrainingImages, training_images


@dataclass(frozen=True, repr=False)
class TrainedClassifier:
    """A trained network with the contents of its checkpoint.

    Attributes:
        file: The checkpoint.
        folder: Its run folder; None for a checkpoint that was moved out of one.
        model: uint8 images (B, S, S, 3) to logits (B, K), in evaluation mode, on the CPU.
        classes: The class list, in the order of the logits, K.
        fingerprint: Fingerprint of the data set that it was trained on.
        config: The resolved configuration of the run.
        epoch: Index of the epoch after which it was saved.
        training_images: Whether it was trained on photographs or drawings.
        initial_weights: The pretrained weights that the run started from; None if there were none.
    """

    file: Path
    folder: Path | None
    model: NormalizedModel
    classes: tuple[str, ...]
    fingerprint: str
    config: dict[str, Any]
    epoch: int
    training_images: TrainingImages
    initial_weights: InitialWeights | None = None

    @property
    def notes(self) -> list[str]:
        """What users of the network need to know about its training images; empty for photographs."""
        return self.training_images.notes(self.config["model"].get("weights"))

    def __repr__(self) -> str:
        name = self.config["model"].get("name") or type(self.model.net).__name__
        return f"TrainedClassifier({name}, {counted(len(self.classes), 'class')}, '{shortened(self.file)}')"

    @property
    def spec(self) -> InputSpec:
        """The input that the network expects."""
        return input_spec(self.model.net)

    @property
    def image_size(self) -> int:
        """Side length of the input in pixels."""
        return self.spec.image_size

    @property
    def crop_pct(self) -> float:
        """Fraction of each side that the centre crop of evaluation keeps."""
        return float(self.config["data"]["crop_pct"])

    @property
    def interpolation(self) -> Interpolation:
        """Interpolation with which images are resized."""
        return "bicubic" if self.spec.interpolation == "bicubic" else "bilinear"

    def precision(self, device: torch.device) -> str:
        """Return the precision that training would use on a device, by Lightning's name."""
        return choose_precision(self.config["trainer"]["precision"], self.model.net, device.type)


def load_checkpoint(ckpt: str | Path, trusted: Iterable[str] = ()) -> TrainedClassifier:
    """Load a trained network.

    Loading runs no code from the file, see `heritage.models.checkpoint`.

    Args:
        ckpt: A checkpoint of `heritage.train`, or a run folder, whose best checkpoint is loaded.
        trusted: Dotted names of the user's own functions that the checkpoint may name
            (`heritage.config.saved_parts.trust`).

    Raises:
        CheckpointError: The file does not exist, is damaged or not from heritage, or its network cannot be
            rebuilt.
        ConfigError: A name in ``trusted`` cannot be imported.
    """
    trust(trusted)
    checkpoint = read_checkpoint(ckpt)
    return TrainedClassifier(
        checkpoint.file,
        checkpoint.folder,
        NormalizedModel(rebuild_network(checkpoint)).eval(),
        checkpoint.classes,
        checkpoint.fingerprint,
        checkpoint.config,
        checkpoint.epoch,
        training_images(checkpoint.folder, checkpoint.config, checkpoint.training_images),
        checkpoint.initial_weights,
    )


def with_views(classifier: TrainedClassifier, tta: Views) -> TrainedClassifier:
    """Return a classifier whose predictions are averaged over views of each image.

    Raises:
        ConfigError: The network does not take these views.
    """
    if tta == "none":
        return classifier
    require_views(classifier.model, tta, classifier.image_size)
    return dataclasses.replace(classifier, model=classifier.model.replaced(views=tta))


def merged(trained: TrainedClassifier) -> TrainedClassifier:
    """Return a network with its low-rank updates merged into its weights; others as they are."""
    if not is_mergeable(trained.model.net):
        return trained
    model = copy.deepcopy(trained.model)
    merge_adapters(model.net)
    config = {**trained.config, "model": {**trained.config["model"], "adapters": None}}
    return dataclasses.replace(trained, model=model, config=config)


def describe_checkpoint(classifier: TrainedClassifier) -> RunDescription:
    """Return the choices that the network was trained with."""
    return read_description(classifier.folder, classifier.config)
