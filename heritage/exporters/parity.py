"""Comparison of an exported network with PyTorch, on real images, after each export."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from heritage.core.image_io import Pixels, decode
from heritage.core.manifest import Manifest
from heritage.core.numbers import counted
from heritage.core.taxonomy import CLASSES
from heritage.data.augment import downscale, eval_transform
from heritage.demo import draw_artefact
from heritage.errors import ExportError, ImageError
from heritage.exporters.exporter import Logits, PortableModel, PredictFunction
from heritage.inference.checkpoint import TrainedClassifier
from heritage.prediction.image_input import read_file
from heritage.prediction.inputs import find_inputs

TOLERANCE = 1e-3
"""Largest accepted difference of a probability: exporters may reorder sums, but not change predictions."""

_IMAGES = 32


@dataclass(frozen=True)
class Parity:
    """The difference between an exported network and PyTorch.

    Attributes:
        source: Where the images came from.
        images: Their number, N.
        logits: Largest difference of a logit.
        probabilities: Largest difference of a probability.
        same_class: Number of images with the same most probable class.
    """

    source: str
    images: int
    logits: float
    probabilities: float
    same_class: int

    def __str__(self) -> str:
        return (
            f"{counted(self.images, 'image')} ({self.source}): largest difference {self.probabilities:.1e} "
            f"in a probability, {self.logits:.1e} in a logit; "
            f"same class for {self.same_class} of {self.images}"
        )


class ParitySample(NamedTuple):
    """Images on which networks are compared."""

    source: str
    """Where they came from."""
    images: npt.NDArray[np.uint8]
    """Inputs of the network, (N, S, S, 3)."""
    files: list[Path]
    """The N files; empty for drawn images."""


def parity_sample(
    trained: TrainedClassifier, manifest: Manifest | None, pictures: str | None
) -> ParitySample:
    """Return images to compare networks on: given ones, else the test split's, else drawn artefacts.

    Args:
        trained: The network.
        manifest: Of its data set, if that is available.
        pictures: The images as for `heritage.prediction.inputs.find_inputs`; None chooses.

    Raises:
        DataError: None of the given images can be read.
    """
    if pictures is not None:
        inputs = find_inputs(pictures, "file", key="pictures")
        source = Path(pictures).resolve().name  # the card is public: no folders of this machine
        paths = [inputs.path(row) for row in range(min(len(inputs), _IMAGES))]
    elif manifest is not None:
        rows = np.flatnonzero(np.array(manifest.column("split")) == "test")
        rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), _IMAGES)).astype(int)]
        source = f"test split of {manifest.root.name}"
        paths = [manifest.root / name for name in manifest.take(rows).column("file")]
    else:
        drawn = [
            draw_artefact(CLASSES[k % len(CLASSES)], k, 0, size=trained.image_size, seed=1)
            for k in range(_IMAGES // 2)
        ]
        return ParitySample("drawn artefacts", _network_inputs(trained, drawn), [])
    read = {path: pixels for path in paths if (pixels := _read(path, trained.image_size)) is not None}
    if not read:
        raise ImageError("no image can be read", where=source, remedy="give other images: pictures=…")
    return ParitySample(source, _network_inputs(trained, list(read.values())), list(read))


def check_parity(
    model: PortableModel, exported: PredictFunction, source: str, images: npt.NDArray[np.uint8]
) -> Parity:
    """Compare an exported network with PyTorch.

    Args:
        model: The network in PyTorch.
        exported: The exported network. If it returns no probabilities, they are computed from its logits.
        source: Where the images came from.
        images: Inputs of the network, (N, S, S, 3).

    Raises:
        ExportError: A probability differs by more than `TOLERANCE`.
    """
    exported_logits, exported_probabilities = exported(images)
    other_logits = torch.from_numpy(np.array(exported_logits))
    other = _probabilities(model, other_logits)
    if exported_probabilities is not None:
        other = torch.from_numpy(exported_probabilities)
    with torch.inference_mode():
        logits, probabilities = model(torch.from_numpy(images))
    if lost := int((~torch.isfinite(logits).all(dim=1)).sum()):
        raise ExportError(
            f"no prediction for {lost} of {counted(len(images), 'image')}: "
            "the network's output is not finite",
            where=source,
            remedy="export a checkpoint of a training that did not diverge",
        )
    parity = Parity(
        source,
        len(images),
        float((logits - other_logits).abs().max()),
        float((probabilities - other).abs().max()),
        int((logits.argmax(dim=1) == other_logits.argmax(dim=1)).sum()),
    )
    if not parity.probabilities <= TOLERANCE:  # NaN does not pass
        raise ExportError(
            f"the exported network's predictions differ: {parity}",
            where="export",
            remedy="nothing was kept; try another format",
        )
    return parity


def resizing_parity(model: PortableModel, sample: ParitySample, logits: Logits) -> str:
    """Describe how much another way of resizing changes the predictions.

    Args:
        model: The network in PyTorch, for images resized as in training.
        sample: The images.
        logits: Logits (N, K) of the same images, resized otherwise.
    """
    with torch.inference_mode():
        ours = model(torch.from_numpy(sample.images))[1]
    theirs = _probabilities(model, torch.from_numpy(logits))
    difference = float((ours - theirs).abs().max())
    same = int((ours.argmax(dim=1) == theirs.argmax(dim=1)).sum())
    return f"largest difference {difference:.3f} in a probability, same class for {same} of {len(ours)}"


def _probabilities(model: PortableModel, logits: torch.Tensor) -> torch.Tensor:
    return (logits / model.temperature).softmax(dim=1)


def _read(path: Path, at_least: int) -> Pixels | None:
    try:
        return decode(read_file(path), name=path, at_least=at_least)
    except ImageError:
        return None


def _network_inputs(trained: TrainedClassifier, images: list[Pixels]) -> npt.NDArray[np.uint8]:
    resize = eval_transform(trained.image_size, trained.crop_pct, trained.interpolation)
    return np.stack([resize(downscale(pixels, trained.image_size)) for pixels in images])
