"""From a checkpoint to a network that answers: all that later commands need is ``ckpt=…``."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from hydra.utils import get_object
from torch import Tensor, nn

from heritage.core.types import PositiveInt
from heritage.data.augment import Interpolation
from heritage.errors import CheckpointError, HeritageError
from heritage.models.network import NONE, InputSpec, input_spec
from heritage.models.normalize import Normalize
from heritage.models.weights import OUR_RECORD
from heritage.runs.compat import upgrade_config
from heritage.runs.description import RunDescription, read_description
from heritage.runs.files import BEST_CHECKPOINT, CHECKPOINTS_FOLDER
from heritage.training.precision import choose_precision

_BUILDERS = "heritage.models."


class NormalizedModel(nn.Module):
    """A network behind its normalisation: uint8 images (B, S, S, 3) to logits (B, K).

    Its state dict is that of the training module, so names in a checkpoint fit as they are.

    Args:
        net: The network.
        shift: What is added to the logits, (K,); None is nothing.
    """

    shift: Tensor | None

    def __init__(self, net: nn.Module, shift: Tensor | None = None) -> None:
        super().__init__()
        spec = input_spec(net)
        self.net = net
        self.normalize = Normalize(spec.mean, spec.std)
        self.register_buffer("shift", shift, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, K) of uint8 images (B, S, S, 3)."""
        logits = cast("Tensor", self.net(self.normalize(images)))
        return logits if self.shift is None else logits + self.shift


@dataclass(frozen=True)
class TrainedClassifier:
    """A trained classifier and what its checkpoint says of it.

    Attributes:
        file: The checkpoint.
        folder: The run folder it lies in; None for a checkpoint that was moved out of one.
        model: uint8 images (B, S, S, 3) to logits (B, K), in evaluation mode, on the CPU.
        classes: The class list, length K; a logit's place in it.
        fingerprint: Of the data set it was trained on.
        config: The run's resolved configuration.
        epoch: The epoch whose end the checkpoint holds.
    """

    file: Path
    folder: Path | None
    model: NormalizedModel
    classes: tuple[str, ...]
    fingerprint: str
    config: dict[str, Any]
    epoch: int

    @property
    def spec(self) -> InputSpec:
        """The input that the network was made for."""
        return input_spec(self.model.net)

    @property
    def image_size(self) -> int:
        """Pixels a side that the network sees."""
        return self.spec.image_size

    @property
    def crop_pct(self) -> float:
        """The central part of each side that evaluation kept."""
        return float(self.config["data"]["crop_pct"])

    @property
    def interpolation(self) -> Interpolation:
        """How pictures were resized."""
        return "bicubic" if self.spec.interpolation == "bicubic" else "bilinear"

    def precision(self, device: torch.device) -> str:
        """Return the number format that training would choose for this network on a device."""
        return choose_precision(self.config["trainer"]["precision"], self.model.net, device.type)


def find_checkpoint(ckpt: str | Path) -> Path:
    """Return the file that ``ckpt`` means: a checkpoint, or the best one of a run folder.

    Raises:
        CheckpointError: There is none.
    """
    path = Path(ckpt).expanduser()
    if path.is_dir():
        best = path / CHECKPOINTS_FOLDER / BEST_CHECKPOINT
        if not best.is_file():
            raise CheckpointError(
                f"no {CHECKPOINTS_FOLDER}/{BEST_CHECKPOINT} in this folder",
                where=path,
                remedy="name a run folder that trained at least one epoch, or a checkpoint",
            )
        return best
    if not path.is_file():
        raise CheckpointError(
            "no such checkpoint", where=path, remedy="look into outputs/train/<date>/<run>/checkpoints"
        )
    return path


def load_checkpoint(ckpt: str | Path) -> TrainedClassifier:
    """Load a trained classifier.

    The file is read with ``weights_only=True``, and only this package's own builders of networks are
    called, whatever it names: a stranger's checkpoint runs no code.

    Args:
        ckpt: A checkpoint of `heritage.train`, or a run folder, whose best one is meant.

    Raises:
        CheckpointError: No such file, damaged, not one of ours, or of a network that cannot be rebuilt.
    """
    file = find_checkpoint(ckpt)
    state = _read(file)
    record = state[OUR_RECORD]
    classes = tuple(record["classes"])
    net = _build_network(file, record["config"], len(classes))
    model = NormalizedModel(net)
    try:
        model.load_state_dict(
            {name: value for name, value in state["state_dict"].items() if name.startswith("net.")}
        )
    except RuntimeError as error:
        raise CheckpointError(
            "its weights do not fit the network that its configuration describes",
            where=file,
            remedy="it was made by another version, or is damaged",
        ) from error
    folder = file.parent.parent if file.parent.name == CHECKPOINTS_FOLDER else None
    return TrainedClassifier(
        file,
        folder,
        model.eval(),
        classes,
        str(record["fingerprint"]),
        dict(record["config"]),
        int(state["epoch"]),
    )


def _read(file: Path) -> dict[str, Any]:
    try:
        state = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            "not a checkpoint, or one that holds more than plain data and weights",
            where=file,
            remedy="give one that `heritage train` wrote",
        ) from error
    except (OSError, RuntimeError, ValueError, EOFError, KeyError) as error:
        # torch's reader raises all of these on files that are cut off or no checkpoints at all
        raise CheckpointError(
            "damaged, or not a checkpoint", where=file, remedy="give one that `heritage train` wrote"
        ) from error
    wanted = {"state_dict", OUR_RECORD, "epoch"}
    if not isinstance(state, dict) or not wanted <= set(state):
        raise CheckpointError(
            "not a checkpoint of `heritage train`: it lacks configuration and classes",
            where=file,
            remedy="model.weights=<file> starts a training from foreign weights",
        )
    state[OUR_RECORD] = {**state[OUR_RECORD], "config": upgrade_config(state[OUR_RECORD]["config"])}
    return state


def _build_network(file: Path, config: dict[str, Any], num_classes: PositiveInt) -> nn.Module:
    options = dict(config["model"])
    target = str(options.pop("_target_"))
    if not target.startswith(_BUILDERS):
        raise CheckpointError(
            f"its network is built by {target}, which is not this package's",
            where=file,
            remedy="give a checkpoint that `heritage train` wrote",
        )
    try:
        # what the weights were before training no longer matters, and may not be there any more
        net: nn.Module = get_object(target)(
            **options | {"weights": NONE}, num_classes=num_classes, image_size=config["data"]["image_size"]
        )
    except (TypeError, ImportError, HeritageError) as error:
        raise CheckpointError(
            f"its network cannot be rebuilt ({error})",
            where=file,
            remedy="it was made by another version of heritage or timm",
        ) from error
    return net.to(memory_format=torch.channels_last)


def describe_checkpoint(trained: TrainedClassifier) -> RunDescription:
    """Return how the network was made."""
    return read_description(trained.folder, trained.config)
