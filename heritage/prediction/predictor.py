"""Pictures to calibrated probabilities and embeddings: the one way in which all of serving asks a network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from heritage.core.image_io import Pixels
from heritage.data.augment import evaluation, reduce
from heritage.explanation.saliency import saliency
from heritage.inference.checkpoint import TrainedClassifier
from heritage.metrics.calibration import Floats, softmax
from heritage.runs.calibration import read_calibration
from heritage.training.predict_loop import autocast
from heritage.training.trainer import device_type

Device = Literal["auto", "cpu", "gpu"]
Views = Literal["none", "flip", "flip_zoom"]
"""Test-time augmentation: the picture alone, with its mirror image, or these two and both enlarged."""

_ZOOM = 0.85


class BatchPrediction(NamedTuple):
    """What a network says of B pictures."""

    probabilities: Floats
    """Calibrated, shape (B, K)."""
    embeddings: npt.NDArray[np.float32]
    """What the network's last layer reads, shape (B, D)."""


class SupportsPredictBatch(Protocol):
    """What tells civilisations: `Predictor`, or a stand-in."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The class list, length K."""
        ...

    def ask(self, images: Tensor) -> BatchPrediction:
        """Answer for uint8 images (B, S, S, 3)."""
        ...


class Predictor:
    """A trained network on a device, with its certainty.

    Not to be called from two threads at once.

    Args:
        trained: The network.
        certainty: Applied to its logits.
        device: Where to compute.
        tta: Test-time augmentation: probabilities (embeddings) are averaged over these views.
    """

    def __init__(
        self,
        trained: TrainedClassifier,
        certainty: DecisionRule,
        *,
        device: Device = "auto",
        tta: Views = "none",
    ) -> None:
        self.trained = trained
        self.certainty = certainty
        self.device = torch.device(device_type(device))
        self.precision = trained.precision(self.device)
        self.tta = tta
        self._model = trained.model.to(self.device).eval()
        self._read: list[Tensor] = []
        head: Any = trained.model.net.get_classifier()  # type: ignore[operator]  # timm's contract
        head.register_forward_pre_hook(self._keep)

    @property
    def classes(self) -> tuple[str, ...]:
        """The class list, length K."""
        return self.trained.classes

    @property
    def image_size(self) -> int:
        """Pixels a side that the network sees, S."""
        return self.trained.image_size

    def prepare(self, pixels: Pixels) -> Pixels:
        """Resize a picture (H, W, 3) as evaluation does, to (S, S, 3)."""
        trained = self.trained
        resize = evaluation(trained.image_size, trained.crop_pct, trained.interpolation)
        return resize(reduce(pixels, trained.image_size))

    def ask(self, images: Tensor) -> BatchPrediction:
        """Answer for uint8 images (B, S, S, 3)."""
        probabilities, embeddings = [], []
        with torch.inference_mode(), autocast(self.device, self.precision):
            for view in self._views(images.to(self.device, non_blocking=True)):
                self._read.clear()
                logits = self._model(view).float().cpu().numpy()
                probabilities.append(self.certainty.probabilities(logits))
                embeddings.append(self._read[0].flatten(1).float().cpu().numpy())
        self._read.clear()
        return BatchPrediction(
            cast("Floats", np.mean(probabilities, axis=0)), np.mean(embeddings, axis=0, dtype=np.float32)
        )

    def saliency(self, pixels: Pixels, label: int) -> npt.NDArray[np.float32]:
        """Return where the network looks for a class: which parts, if hidden, lower its probability.

        Args:
            pixels: A picture as the network sees it, (S, S, 3).
            label: The class.

        Returns:
            Shape (S, S), from 0 to 1.
        """
        images = torch.from_numpy(pixels.copy())[None].to(self.device)
        found = saliency(self._model, images, torch.tensor([label], device=self.device), "occlusion")
        self._read.clear()
        strength: npt.NDArray[np.float32] = found[0].float().cpu().numpy()
        return strength

    def _keep(self, _: object, inputs: tuple[Tensor, ...]) -> None:
        self._read.append(inputs[0])

    def _views(self, images: Tensor) -> list[Tensor]:
        if self.tta == "none":
            return [images]
        views = [images, images.flip(2)]
        if self.tta == "flip_zoom":
            views += [_enlarged(view) for view in views]
        return views


def _enlarged(images: Tensor) -> Tensor:
    """Enlarge the central part of uint8 images (B, S, S, 3) to their whole size."""
    side = images.shape[1]
    margin = round(side * (1 - _ZOOM) / 2)
    centre = images[:, margin : side - margin, margin : side - margin].permute(0, 3, 1, 2).float()
    larger = functional.interpolate(centre, size=(side, side), mode="bilinear", align_corners=False)
    return larger.round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


UNSURE = "unsure"
"""The answer in place of a class where the highest probability is under the threshold."""


@dataclass(frozen=True)
class DecisionRule:
    """How logits become probabilities, and which answers are withheld.

    Attributes:
        temperature: What logits are divided by before the softmax; 1 leaves them as they are.
        threshold: The highest probability must reach this, or the answer is "unsure"; None: it always does.
        fitted: Whether they were fitted on a validation split.
    """

    temperature: float = 1.0
    threshold: float | None = None
    fitted: bool = False

    def __str__(self) -> str:
        bound = "never unsure" if self.threshold is None else f"unsure below {self.threshold:.1%} probability"
        if not self.fitted:
            return f"not calibrated: run heritage evaluate; {bound}"
        return f"calibrated with temperature {self.temperature:.3g}; {bound}"

    def with_threshold(self, threshold: float | None) -> DecisionRule:
        """Return the same with another threshold; None keeps the present one."""
        return self if threshold is None else replace(self, threshold=threshold)

    def probabilities(self, logits: npt.NDArray[np.floating[Any]]) -> Floats:
        """Return calibrated probabilities (B, K) of logits (B, K)."""
        return softmax(logits, self.temperature)

    def unsure(self, confidence: float) -> bool:
        """Return whether an answer whose highest probability is this should be withheld."""
        return self.threshold is not None and confidence < self.threshold


def read_decision_rule(run_folder: Path | None) -> DecisionRule:
    """Return what a run folder's ``calibration.json`` says; without one, logits are taken as they are.

    Raises:
        CheckpointError: The file is damaged.
    """
    found = None if run_folder is None else read_calibration(run_folder)
    return DecisionRule() if found is None else DecisionRule(found.temperature, found.threshold, fitted=True)
