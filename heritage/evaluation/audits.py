"""The audits of a trained network: asks it again, about hidden centres and for its features."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from heritage.core.types import NonNegativeInt
from heritage.errors import ConfigError
from heritage.evaluation.assessment import Assessment
from heritage.evaluation.audit_statistics import background, leak, museum_shortcut
from heritage.inference.checkpoint import TrainedClassifier
from heritage.inference.embeddings import compute_embeddings, picture_map, predict_with
from heritage.inference.test_set import TestSet
from heritage.runs.audits import AuditResult
from heritage.runs.finished import FinishedRun, read_run, split_of

MAP_FILE = "map.png"
_GREY = 128
_BY_IMAGE = "by_image"  # of heritage.data.split


@dataclass(frozen=True)
class AuditOptions:
    """Which audits to make.

    Attributes:
        museum: Whether the features tell the museum: a pass over the images.
        background: Accuracy with centre or border hidden: two passes.
        by_image: Folder of a run of the same recipe with ``data/split=image``; None leaves the leak out.
        map: Images on the map of the test set, at most; 0 draws none.
    """

    museum: bool
    background: bool
    by_image: str | None
    map: NonNegativeInt


class MaskedInput(nn.Module):
    """A network that sees half of each picture's area in grey: its centre, or all but its centre."""

    def __init__(self, model: nn.Module, *, centre: bool) -> None:
        super().__init__()
        self.model = model
        self.centre = centre

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, K) of uint8 images (B, S, S, 3)."""
        size = images.shape[1]
        margin = round(size * (1 - 0.5**0.5) / 2)
        inside = torch.zeros(size, size, 1, dtype=torch.bool, device=images.device)
        inside[margin : size - margin, margin : size - margin] = True
        logits: Tensor = self.model(images.masked_fill(inside if self.centre else ~inside, _GREY))
        return logits


def audit(
    wished: AuditOptions,
    trained: TrainedClassifier,
    testbed: TestSet,
    assessment: Assessment,
    device: torch.device,
    folder: Path,
    torn: tuple[FinishedRun, FinishedRun] | None,
) -> tuple[list[AuditResult], tuple[Path, str] | None]:
    """Make the audits and the map of the images.

    Args:
        wished: Which.
        trained: The network.
        testbed: The images.
        assessment: What was measured of its answers.
        device: Where to compute.
        folder: Where the map is written.
        torn: Of `torn_apart`, for the leak.

    Returns:
        The audits, and the map's file with what is to be said of it; None without a map.
    """
    found, split = [], testbed.split
    features = compute_embeddings(trained, testbed, split, device)[1] if wished.museum or wished.map else None
    if wished.museum and features is not None:
        manifest = assessment.manifest
        found.append(
            museum_shortcut(
                features, assessment.targets, manifest.column("museum"), assessment.groups,
                assessment.classes, manifest.museums,
            )
        )  # fmt: skip
    if wished.background:
        hidden = []
        for name, centre in (("centre hidden", True), ("border hidden", False)):
            model = MaskedInput(trained.model, centre=centre)
            hidden.append(predict_with(model, name, trained, testbed, split, device).logits.argmax(axis=1))
        whole = assessment.logits.argmax(axis=1)
        resamples = assessment.settings.resamples
        found.append(
            background(assessment.targets, whole, hidden[0], hidden[1], assessment.groups,
                       classes=len(assessment.classes), resamples=resamples)
        )  # fmt: skip
    if torn is not None:
        found.append(leak(*torn, assessment.settings.resamples))
    if not wished.map or features is None:
        return found, None
    return found, _map(wished.map, features, assessment, folder / MAP_FILE)


def torn_apart(wished: AuditOptions, trained: TrainedClassifier) -> tuple[FinishedRun, FinishedRun] | None:
    """Read the network's own run and the one that was split by image; None where none is named.

    Raises:
        ConfigError: The other is not the same recipe, or was not split by image.
        CheckpointError: One of them has no report.
    """
    if wished.by_image is None:
        return None
    where = f"audits.by_image={wished.by_image}"
    if trained.folder is None:
        raise ConfigError(
            "the leak is measured between two runs' reports, and this checkpoint lies in no run folder",
            where=where,
            remedy="give a run folder in ckpt=",
        )
    own, other = read_run(trained.folder), read_run(Path(wished.by_image).expanduser())
    for what in ("classes", "model", "optimizer", "balance"):
        mine, theirs = (getattr(run if what == "classes" else run.recipe, what) for run in (own, other))
        if mine != theirs:
            raise ConfigError(
                f"its {what} differ: {theirs}, here {mine}" if what == "classes"
                else f"its {what} is {theirs}, here {mine}",
                where=where, remedy="name a run of the same recipe with data/split=image",
            )  # fmt: skip
    split = split_of(other.folder)
    if split != _BY_IMAGE:
        raise ConfigError(
            f"it was split by {split}, not by image",
            where=where,
            remedy="name a run of the same recipe with data/split=image",
        )
    return own, other


def _map(
    most: int, features: npt.NDArray[np.float32], assessment: Assessment, path: Path
) -> tuple[Path, str]:
    random = np.random.default_rng(assessment.settings.seed)
    chosen = np.sort(random.permutation(len(features))[:most])
    seed = assessment.settings.seed
    picture_map(features[chosen], assessment.targets[chosen], assessment.classes, path, seed=seed)
    words = f"{len(chosen):,} images by the network's last features (t-SNE): what it takes for alike lies "
    words += "together, whatever the class, which is the colour. Distances between far clusters mean nothing."
    return path, words
