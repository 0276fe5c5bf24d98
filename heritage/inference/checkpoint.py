"""Load a trained network from its checkpoint: all that evaluate, explain, predict, export and serve need."""

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
        shift: Added to the logits, (K,); None adds nothing.
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
    """A trained network with the contents of its checkpoint.

    Attributes:
        file: The checkpoint.
        folder: Its run folder; None for a checkpoint that was moved out of one.
        model: uint8 images (B, S, S, 3) to logits (B, K), in evaluation mode, on the CPU.
        classes: The class list, in the order of the logits, K.
        fingerprint: Fingerprint of the data set that it was trained on.
        config: The resolved configuration of the run.
        epoch: Index of the epoch after which it was saved.
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


def find_checkpoint(ckpt: str | Path) -> Path:
    """Return the path of a checkpoint, or of the best checkpoint of a run folder.

    Raises:
        CheckpointError: There is no such file.
    """
    path = Path(ckpt).expanduser()
    if path.is_dir():
        best = path / CHECKPOINTS_FOLDER / BEST_CHECKPOINT
        if not best.is_file():
            raise CheckpointError(
                f"no {CHECKPOINTS_FOLDER}/{BEST_CHECKPOINT} in this folder",
                where=path,
                remedy="give a run folder that trained at least one epoch, or a checkpoint",
            )
        return best
    if not path.is_file():
        raise CheckpointError(
            "no such checkpoint",
            where=path,
            remedy="checkpoints are in outputs/train/<date>/<run>/checkpoints",
        )
    return path


def load_checkpoint(ckpt: str | Path) -> TrainedClassifier:
    """Load a trained network.

    The file is read with ``weights_only=True``, and only builders of `heritage.models` are called: a
    checkpoint from an untrusted source cannot run code.

    Args:
        ckpt: A checkpoint of `heritage.train`, or a run folder, whose best checkpoint is loaded.

    Raises:
        CheckpointError: The file does not exist, is damaged or not from heritage, or its network cannot be
            rebuilt.
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
            "not a checkpoint, or one with objects other than plain data and weights",
            where=file,
            remedy="give one that `heritage train` wrote",
        ) from error
    except (OSError, RuntimeError, ValueError, EOFError, KeyError) as error:
        # torch raises all of these for truncated files and files of other formats
        raise CheckpointError(
            "damaged, or not a checkpoint", where=file, remedy="give one that `heritage train` wrote"
        ) from error
    required = {"state_dict", OUR_RECORD, "epoch"}
    if not isinstance(state, dict) or not required <= set(state):
        raise CheckpointError(
            "not a checkpoint of `heritage train`: it lacks configuration and classes",
            where=file,
            remedy="to start a training from other weights, use model.weights=<file>",
        )
    state[OUR_RECORD] = {**state[OUR_RECORD], "config": upgrade_config(state[OUR_RECORD]["config"])}
    return state


def _build_network(file: Path, config: dict[str, Any], num_classes: PositiveInt) -> nn.Module:
    options = dict(config["model"])
    target = str(options.pop("_target_"))
    if not target.startswith(_BUILDERS):
        raise CheckpointError(
            f"its network is built by {target}, which is not in {_BUILDERS[:-1]}",
            where=file,
            remedy="give a checkpoint that `heritage train` wrote",
        )
    try:
        # pretrained weights are overwritten by the checkpoint, and may be missing on this machine
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


def describe_checkpoint(classifier: TrainedClassifier) -> RunDescription:
    """Return the choices that the network was trained with."""
    return read_description(classifier.folder, classifier.config)
