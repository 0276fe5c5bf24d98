"""The interface of an export format, and the self-contained network that formats write."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from heritage.core.version import __version__
from heritage.errors import MissingDependencyError
from heritage.inference.checkpoint import TrainedClassifier
from heritage.models.normalize import NormalizedModel
from heritage.prediction.decision_rule import DecisionRule
from heritage.runs.files import EXPORT_FILE

INPUT = "images"
OUTPUTS = ("logits", "probabilities")
DESCRIPTION = EXPORT_FILE
"""The file of `describe`, beside the network; torch.export keeps a copy inside the program."""

Logits: TypeAlias = npt.NDArray[np.float32]
PredictFunction: TypeAlias = Callable[[npt.NDArray[np.uint8]], tuple[Logits, Logits | None]]
"""uint8 images (B, S, S, 3) to logits and probabilities, both (B, K); None if a format has logits only."""


class PortableModel(nn.Module):
    """Normalisation, network and calibration in one module, without other dependencies than torch.

    Args:
        model: uint8 images (B, S, S, 3) to logits (B, K).
        temperature: Logits are divided by it before the softmax.
    """

    def __init__(self, model: NormalizedModel, temperature: float) -> None:
        super().__init__()
        # In channels-last memory, exporters mistake weights for parts of larger tensors.
        self.model = copy.deepcopy(model).to(memory_format=torch.contiguous_format)
        self.temperature = temperature

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and probabilities, both (B, K), of uint8 images (B, S, S, 3)."""
        logits: Tensor = self.model(images).float()
        return logits, (logits / self.temperature).softmax(dim=1)


@dataclass(frozen=True)
class ExportSource:
    """The network to export.

    Attributes:
        trained: The network with its configuration.
        model: The same network with normalisation and calibration, on the CPU.
        description: Everything needed to use the network, as plain data (`describe`).
        licence: Of the weights, as an SPDX identifier; None if it is not stated.
    """

    trained: TrainedClassifier
    model: PortableModel
    description: dict[str, Any]
    licence: str | None

    @classmethod
    def of(
        cls, trained: TrainedClassifier, decision_rule: DecisionRule, licence: str | None = None
    ) -> ExportSource:
        """Prepare a trained network."""
        model = PortableModel(trained.model.cpu(), decision_rule.temperature).eval()
        return cls(trained, model, describe(trained, decision_rule, licence), licence)


LOCAL_FOLDER = "local-dir:."
"""The exported folder as an address for timm, in `Exporter.usage`."""


class Exporter(ABC):
    """An export format; one instance exports one network.

    Args:
        source: The network.

    Attributes:
        name: The value of ``format=``, and the name of its module in `heritage.exporters.formats`.
        packages: Packages that the format imports beside those that `heritage` depends on.
        extra: The extra of `heritage` that installs them.
    """

    name: ClassVar[str]
    packages: ClassVar[tuple[str, ...]] = ()
    extra: ClassVar[str | None] = None

    def __init__(self, source: ExportSource) -> None:
        self.source = source

    @abstractmethod
    def write(self, folder: Path) -> None:
        """Write the network into an empty folder.

        Raises:
            ExportError: The format cannot represent the network.
        """

    @abstractmethod
    def open(self, folder: Path) -> PredictFunction:
        """Load what `write` wrote, in the way its users will; called to compare it with PyTorch.

        Raises:
            ExportError: It cannot be loaded.
        """

    @abstractmethod
    def usage(self) -> str:
        """Return how to load and call the exported network, in Markdown, for the model card."""

    @property
    def library(self) -> str:
        """The library that loads the folder, for the model card's metadata."""
        return "heritage"

    def messages(self, folder: Path) -> list[str]:
        """Return lines that the command prints after the export."""
        del folder
        return []

    def with_own_resizing(self, folder: Path, files: Sequence[Path]) -> Logits | None:
        """Return logits (N, K) of files resized by the format's library; None if it resizes nothing."""
        del folder, files
        return None

    @classmethod
    def require_packages(cls) -> None:
        """Check that the format's packages are installed.

        Raises:
            MissingDependencyError: One is missing.
        """
        for package in cls.packages:
            try:
                import_module(package)
            except ImportError as error:
                raise MissingDependencyError(
                    f"the package {package} is not installed",
                    where=f"format={cls.name}",
                    remedy=f"pip install '{f'heritage[{cls.extra}]' if cls.extra else package}'",
                ) from error


def describe(trained: TrainedClassifier, decision_rule: DecisionRule, licence: str | None) -> dict[str, Any]:
    """Return what a user of the exported network needs to know, as plain data."""
    spec, size = trained.spec, trained.image_size
    return {
        "heritage": __version__,
        "classes": list(trained.classes),
        "licence": licence,
        "input": {
            "name": INPUT,
            "type": "uint8",
            "shape": ["batch", size, size, 3],
            "colour": "RGB (sRGB), EXIF orientation applied",
            "crop": f"the central {trained.crop_pct:g} of each side",
            "resize": f"to {size}×{size}, ignoring the aspect ratio; area averaging if both sides "
            f"shrink to two thirds or less, else {trained.interpolation}",
            "normalise": "inside the network; mean and std are for networks loaded without it",
            "mean": list(spec.mean),
            "std": list(spec.std),
        },
        "outputs": {"logits": ["batch", "classes"], "probabilities": ["batch", "classes"]},
        "calibration": {
            "fitted": decision_rule.calibration is not None,
            "calibrated": decision_rule.claim.calibrated,
            "known": f"{decision_rule.claim.sentence} {decision_rule.threshold_sentence}",
            "temperature": decision_rule.temperature,
            "threshold": decision_rule.threshold,
            "all_unsure": decision_rule.all_unsure,
            "meaning": "probabilities = softmax(logits / temperature); below the threshold, or always if "
            "all_unsure: unsure",
        },
        "training_images": trained.training_images.record(),
        "notes": trained.notes,
        "data_fingerprint": trained.fingerprint,
        "epoch": trained.epoch,
    }
