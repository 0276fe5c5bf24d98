"""Run the audits of a trained network: further passes over the test set with masked images and for features.

The statistics of the results are in `heritage.evaluation.audit_statistics`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from heritage.core.option_types import FigureWidth, FilePath
from heritage.core.types import NonNegativeInt
from heritage.errors import ConfigError
from heritage.evaluation.assessment import Assessment
from heritage.evaluation.audit_statistics import background_audit, leak_audit, museum_audit
from heritage.evaluation.embedding_map import MIN_MAP, draw_embedding_map
from heritage.evaluation.objects import object_result
from heritage.features.compute import ImageFeatures
from heritage.inference.checkpoint import TrainedClassifier
from heritage.inference.embeddings import of_predicted
from heritage.inference.predictions import predict_split
from heritage.inference.test_set import TestSet
from heritage.runs.audits import AuditResult
from heritage.runs.read_predictions import FinishedRun, read_run, split_of

MAP_FILE = "map.png"
_GREY = 128
_BY_IMAGE = "by_image"  # of heritage.data.split


@dataclass(frozen=True)
class AuditOptions:
    """Which audits to run.

    Attributes:
        museum: Whether features identify the museum within a class: one pass over the images.
        background: Accuracy with the centre and with the border masked: two passes.
        by_image: Folder of a run with the same settings and ``data/split=image``, for the leak audit; None
            skips it.
        map: Images on the map of the test set, at most; 0 draws none.
        outliers: Whether to fit the score of photographs unlike the training images, and to measure it.
        objects: Whether to compare predictions by object with those by photograph.
    """

    museum: bool
    background: bool
    by_image: FilePath | None
    map: NonNegativeInt
    outliers: bool = False
    objects: bool = False

    @property
    def needs_features(self) -> bool:
        """Whether the network's features are needed."""
        return self.museum or self.map > 0


NO_AUDITS = AuditOptions(museum=False, background=False, by_image=None, map=0)
"""``audits=null``."""


class MaskedInput(nn.Module):
    """A network with half of each image's area masked in grey.

    Args:
        model: uint8 images (B, S, S, 3) to logits (B, K).
        centre: Mask the central square; otherwise everything around it.
    """

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


def run_audits(
    options: AuditOptions,
    classifier: TrainedClassifier,
    test_set: TestSet,
    assessment: Assessment,
    rows: npt.NDArray[np.int64],
    device: torch.device,
    folder: Path,
    leak_runs: tuple[FinishedRun, FinishedRun] | None,
    width: FigureWidth = "double",
    *,
    stored: ImageFeatures | None,
) -> tuple[list[AuditResult], tuple[Path, str] | None]:
    """Run the audits and draw the map of the test set.

    Args:
        options: Which audits to run.
        classifier: The trained network.
        test_set: The images.
        assessment: The measured predictions for them.
        rows: Their rows in the split, ascending.
        device: Where to compute.
        folder: Where the map is written.
        leak_runs: The two runs of `read_leak_runs`.
        width: Width of the map: one or two columns.
        stored: The features of the data set; needed for the museum audit and the map.

    Returns:
        The results, and the PNG of the map with its caption; None without a map.
    """
    results, split = [], test_set.split
    features = None
    if options.objects:
        results.append(object_result(assessment))
    if stored is not None and options.needs_features:
        features = of_predicted(stored, split, rows)
    if options.museum and features is not None:
        manifest = assessment.manifest
        results.append(
            museum_audit(
                features,
                assessment.targets,
                manifest.column("museum"),
                assessment.groups,
                assessment.classes,
                manifest.museums,
            )
        )
    if options.background:
        results.append(_audit_background(classifier, test_set, assessment, rows, device))
    if leak_runs is not None:
        results.append(leak_audit(*leak_runs, assessment.settings.resamples))
    if features is None or min(options.map, len(features)) < MIN_MAP:
        return results, None
    return results, _draw_map(options.map, features, assessment, folder / MAP_FILE, width)


def _audit_background(
    classifier: TrainedClassifier,
    test_set: TestSet,
    assessment: Assessment,
    rows: npt.NDArray[np.int64],
    device: torch.device,
) -> AuditResult:
    """Compare predictions with the centre and with the border masked: two passes over the images."""
    masked = [
        predict_split(
            classifier,
            test_set,
            test_set.split,
            device,
            model=MaskedInput(classifier.model, centre=centre),
            description=f"{'centre' if centre else 'border'} masked",
        )
        for centre in (True, False)
    ]
    common = np.intersect1d(np.intersect1d(rows, masked[0].rows), masked[1].rows)
    shown = np.isin(rows, common)
    centre_masked, border_masked = (
        outputs.logits[np.isin(outputs.rows, common)].argmax(axis=1) for outputs in masked
    )
    return background_audit(
        assessment.targets[shown],
        assessment.logits[shown].argmax(axis=1),
        centre_masked,
        border_masked,
        [group for group, kept in zip(assessment.groups, shown, strict=True) if kept],
        classes=len(assessment.classes),
        resamples=assessment.settings.resamples,
    )


def few_images_note(options: AuditOptions, images: int) -> list[str]:
    """Return a note if the map is left out, because it would have fewer than `MIN_MAP` images."""
    shown = min(options.map, images)
    if not options.map or shown >= MIN_MAP:
        return []
    return [f"No map was drawn: it needs at least {MIN_MAP} images, not {shown}."]


def read_leak_runs(
    options: AuditOptions, classifier: TrainedClassifier
) -> tuple[FinishedRun, FinishedRun] | None:
    """Read the network's own run and the run split by image; None if the leak audit is off.

    Raises:
        ConfigError: The other run has other settings, or was not split by image.
        CheckpointError: One of them has no report.
    """
    if options.by_image is None:
        return None
    where = f"audits.by_image={options.by_image}"
    remedy = "give a run with the same settings and data/split=image"
    if classifier.folder is None:
        raise ConfigError(
            "the leak audit compares the reports of two runs, and this checkpoint is not in a run folder",
            where=where,
            remedy="give a run folder in ckpt=",
        )
    own, other = read_run(classifier.folder), read_run(Path(options.by_image).expanduser())
    for name in ("classes", "model", "optimizer", "balance"):
        ours, theirs = (getattr(run if name == "classes" else run.description, name) for run in (own, other))
        if ours != theirs:
            verb = "are" if name == "classes" else "is"
            raise ConfigError(
                f"its {name} {verb} {_listed(theirs)}, but here {_listed(ours)}", where=where, remedy=remedy
            )
    split = split_of(other.folder)
    if split != _BY_IMAGE:
        raise ConfigError(f"it was split by {split}, not by image", where=where, remedy=remedy)
    return own, other


def _listed(value: str | tuple[str, ...]) -> str:
    return value if isinstance(value, str) else ", ".join(value)


def _draw_map(
    limit: int, features: npt.NDArray[np.float32], assessment: Assessment, path: Path, width: FigureWidth
) -> tuple[Path, str]:
    seed = assessment.settings.seed
    rows = np.sort(np.random.default_rng(seed).permutation(len(features))[:limit])
    draw_embedding_map(
        features[rows], assessment.targets[rows], assessment.classes, path, seed=seed, width=width
    )
    caption = f"t-SNE of the last features of {len(rows):,} images; each class has its "
    return path, f"{caption}colour and shape. Distances between distant clusters have no meaning."
