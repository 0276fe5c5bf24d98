"""Contact sheet of augmented training images, ``contact_sheet.png`` in the run folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from heritage.core.image_io import Pixels
from heritage.core.option_types import FigureWidth
from heritage.data import ArtefactDataModule, BatchPlan
from heritage.reports.figures import contact_sheet
from heritage.runs.files import CONTACT_SHEET_FILE
from heritage.training import Classifier

_VIEWS, _COPIES = 5, 3


def write_preview(data: ArtefactDataModule, classifier: Classifier, folder: Path, width: FigureWidth) -> Path:
    """Draw one image of each class: as stored, augmented, and augmented as an oversampled copy.

    Images go through the training pipeline, mixing included, and are denormalised for display.

    Args:
        data: The data set.
        classifier: Its normalisation and mixing are used.
        folder: The run folder.
        width: One or two columns, of the figure.

    Returns:
        The path of the figure.
    """
    loader = data.loader("train")
    targets = data.targets("train")
    chosen = np.array([np.flatnonzero(targets == k)[0] for k in range(len(data.classes))])
    columns = [data.eval_images("train", chosen)]
    for seed in range(_VIEWS + _COPIES):
        copies = np.full(len(chosen), seed >= _VIEWS)
        classifier.seed_step(0, seed)
        batch = loader.dataset.__getitems__(BatchPlan(chosen, copies, seed))  # type: ignore[attr-defined]
        images, _ = classifier.augmented(batch)
        columns.append(_pictures(images, classifier))
    rows = [(name, [column[k] for column in columns]) for k, name in enumerate(data.classes)]
    headings = ["as stored", "training", *[""] * (_VIEWS - 1), "copies", *[""] * (_COPIES - 1)]
    path = folder / CONTACT_SHEET_FILE
    title = f"Training images as the network sees them ({data.image_size} px)"
    contact_sheet(rows, headings, title, path, width)
    return path


def _pictures(images: torch.Tensor, classifier: Classifier) -> list[Pixels]:
    normalize = classifier.normalize
    pixels = (images.float() - normalize.shift) / normalize.scale
    pictures: list[Pixels] = list(pixels.round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy())
    return pictures
