"""Does an exported network say the same? Asked about real pictures, after each export."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from heritage.core.image_io import Pixels, decode
from heritage.core.manifest import Manifest
from heritage.core.taxonomy import CLASSES
from heritage.data.augment import evaluation, reduce
from heritage.demo import draw_artefact
from heritage.errors import ExportError, ImageError
from heritage.exporters.onnx import Asks
from heritage.exporters.portable import Portable
from heritage.inference.checkpoint import TrainedClassifier
from heritage.prediction.inputs import find_inputs

TOLERANCE = 1e-3
"""Largest difference of a probability that passes: exporters reorder sums, they do not change answers."""

_PICTURES = 32


@dataclass(frozen=True)
class Parity:
    """How far an exported network is from PyTorch's.

    Attributes:
        source: Where the pictures came from.
        pictures: How many, N.
        logits: Largest difference of a logit.
        probabilities: Largest difference of a probability.
        same_answers: Pictures whose first class is the same.
    """

    source: str
    pictures: int
    logits: float
    probabilities: float
    same_answers: int

    def __str__(self) -> str:
        return (
            f"{self.pictures} pictures ({self.source}): largest difference {self.probabilities:.1e} of a "
            f"probability, {self.logits:.1e} of a logit; {self.same_answers} of {self.pictures} same answers"
        )


class Sample(NamedTuple):
    """Pictures on which networks are compared."""

    source: str
    """Where they came from."""
    images: npt.NDArray[np.uint8]
    """As the network sees them, (N, S, S, 3)."""
    files: list[Path]
    """The N files; none where they were drawn."""


def pictures_for_parity(trained: TrainedClassifier, manifest: Manifest | None, chosen: str | None) -> Sample:
    """Return real pictures.

    They are those that a person names, else the test split's, else drawn artefacts.

    Raises:
        DataError: None of the named pictures can be read.
    """
    if chosen is not None:
        inputs = find_inputs(chosen, "file", key="pictures")
        # the card goes to strangers: no folders of this machine
        source, paths = (
            Path(chosen).resolve().name,
            [inputs.path(row) for row in range(min(len(inputs), _PICTURES))],
        )
    elif manifest is not None:
        rows = np.flatnonzero(np.array(manifest.column("split")) == "test")
        rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), _PICTURES)).astype(int)]
        files = manifest.take(rows).column("file")
        source, paths = f"test split of {manifest.root.name}", [manifest.root / name for name in files]
    else:
        drawn = [
            draw_artefact(CLASSES[k % len(CLASSES)], k, 0, size=trained.image_size, seed=1)
            for k in range(_PICTURES // 2)
        ]
        return Sample("drawn artefacts", _as_seen(trained, drawn), [])
    read = {path: pixels for path in paths if (pixels := _read(path, trained.image_size)) is not None}
    if not read:
        raise ImageError("not one picture can be read", where=source, remedy="name others: pictures=…")
    return Sample(source, _as_seen(trained, list(read.values())), list(read))


def check_parity(model: Portable, other: Asks, source: str, images: npt.NDArray[np.uint8]) -> Parity:
    """Ask both networks about the same pictures; probabilities are the file's own where it gives them.

    Raises:
        ExportError: They differ by more than `TOLERANCE`.
    """
    said, given = other(images)
    theirs = torch.from_numpy(np.array(said))
    calibrated = (theirs / model.temperature).softmax(dim=1) if given is None else torch.from_numpy(given)
    with torch.inference_mode():
        logits, probabilities = model(torch.from_numpy(images))
    found = Parity(
        source,
        len(images),
        float((logits - theirs).abs().max()),
        float((probabilities - calibrated).abs().max()),
        int((logits.argmax(dim=1) == theirs.argmax(dim=1)).sum()),
    )
    if not found.probabilities <= TOLERANCE:  # NaN does not pass
        raise ExportError(
            f"the exported network's predictions differ: {found}",
            where="export",
            remedy="nothing was kept; try another format",
        )
    return found


def resizing_parity(model: Portable, sample: Sample, logits: npt.NDArray[np.float32]) -> str:
    """Say how much it matters that somebody else resizes the pictures.

    Args:
        model: Asked about the sample as training would resize it.
        sample: The pictures.
        logits: Of the same pictures resized otherwise, (N, K).
    """
    with torch.inference_mode():
        ours = model(torch.from_numpy(sample.images))[1]
        theirs = (torch.from_numpy(logits) / model.temperature).softmax(dim=1)
    differ = float((ours - theirs).abs().max())
    same = int((ours.argmax(dim=1) == theirs.argmax(dim=1)).sum())
    return f"largest difference {differ:.3f} of a probability, {same} of {len(ours)} same answers"


def _read(path: Path, at_least: int) -> Pixels | None:
    try:
        return decode(path.read_bytes(), name=path, at_least=at_least)
    except (ImageError, OSError):
        return None


def _as_seen(trained: TrainedClassifier, pictures: list[Pixels]) -> npt.NDArray[np.uint8]:
    resize = evaluation(trained.image_size, trained.crop_pct, trained.interpolation)
    return np.stack([resize(reduce(pixels, trained.image_size)) for pixels in pictures])
