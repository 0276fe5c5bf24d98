"""Predictions and explanations as objects: typed, short to print, and drawn in notebooks."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import overload

import numpy as np
import numpy.typing as npt
from PIL import Image

from heritage.core.escaping import html, terminal
from heritage.core.image_io import Pixels
from heritage.core.notebook import shortened
from heritage.core.numbers import counted, percent
from heritage.errors import ImageError
from heritage.metrics.finite import NO_PREDICTION
from heritage.prediction.html import image_card, note_lines, prediction_card, thumbnail
from heritage.prediction.image_input import load_pixels
from heritage.prediction.streaming import SHOWN
from heritage.runs.outliers import UNLIKE

_NAMES = 3  # unreadable files named by `repr`
_CLASSES = 4  # classes counted by `repr`


@dataclass(frozen=True, repr=False, eq=False)
class Prediction:
    """The prediction for one image.

    Attributes:
        label: The most probable class, also when `unsure`; None for an image that cannot be read.
        probabilities: Probability of each class, the most probable first. Whether they are calibrated is
            known by ``predictor.decision_rule.claim``.
        confidence: The highest probability; NaN for an image that cannot be read.
        unsure: Whether the confidence is below the threshold, or no threshold reaches the target precision.
            True as well for an image that cannot be read or is unlike the training images, so that filtering
            by it leaves usable predictions alone.
        name: The image's file name; None for an image that was not read from a file.
        error: Why there is no prediction: the image cannot be read, or the network's output is not finite;
            None for a prediction.

    Example:
        >>> predictor = heritage.load(run_folder)
        >>> prediction = predictor.predict(photographs / "0.jpg")
        >>> prediction.name
        '0.jpg'
        >>> prediction.confidence == prediction.probabilities[prediction.label]
        True
    """

    label: str | None
    probabilities: Mapping[str, float]
    confidence: float
    unsure: bool
    name: str | None = None
    error: str | None = None
    source: Path | bytes | None = None
    """The file, or a small JPEG of an image that was in memory: what notebooks show."""
    notes: tuple[str, ...] = field(default=(), repr=False, compare=False)
    """What users of the prediction need to know; for several images they are in `Predictions.notes`."""
    prediction_set: tuple[str, ...] | None = field(default=None, repr=False)
    """The classes among which the true one is with the promised coverage, the most probable first; None if no
    sets were requested, or none can be promised."""

    unlike_training: bool | None = field(default=None, repr=False)
    """Whether the image is farther from the training images than nearly all validation images: its label and
    probabilities then mean nothing. None if no score was fitted, or it is switched off."""
    outlier_score: float | None = field(default=None, repr=False)
    """How far it is from the training images, relative to the threshold: above 1 it is unlike them."""

    def __eq__(self, other: object) -> bool:
        return self._compared() == other._compared() if isinstance(other, Prediction) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # it holds a mapping

    def _compared(self) -> tuple[object, ...]:
        confidence = None if math.isnan(self.confidence) else self.confidence  # NaN is not equal to itself
        return self.label, dict(self.probabilities), confidence, self.unsure, self.name, self.error

    def __repr__(self) -> str:
        if self.error is not None:
            text = f"error: {shortened(self.error, 70)}"
        elif self.unlike_training:
            text = "unlike the training images"
        else:
            text = f"{'unsure: ' if self.unsure else ''}{self.label} {percent(self.confidence)}"
        return terminal(f"Prediction({text}{_named(self.name)})")

    def _repr_html_(self) -> str:
        if self.error is not None:
            title = self.error if self.error == NO_PREDICTION else f"unreadable: {self.error}"
        elif self.unlike_training:
            title = "unlike the training images"
        else:
            title = f"{'unsure, most likely ' if self.unsure else ''}{self.label}"
        shown = {} if self.unlike_training else self.probabilities
        card = prediction_card(title, self.name, shown, self._thumbnail())
        return note_lines(self.notes) + card

    def _thumbnail(self) -> bytes | None:
        if not isinstance(self.source, Path):
            return self.source
        try:
            return thumbnail(load_pixels(self.source, at_least=256))
        except ImageError:  # the file has gone since
            return None


class Predictions(Sequence[Prediction]):
    """The predictions for several images, in the order of the images.

    A sequence of `Prediction`. Images that cannot be read keep their place, with `Prediction.error` set.

    Args:
        entries: One prediction for each image.
        classes: The class list, length K.
        notes: What users of the predictions need to know.

    Example:
        >>> predictor = heritage.load(run_folder)
        >>> predictions = predictor.predict([photographs / "0.jpg", photographs / "cut.jpg"])
        >>> len(predictions), predictions.labels[1], list(predictions.errors)
        (2, None, [1])
        >>> predictions.probabilities.shape
        (2, 6)
    """

    def __init__(
        self, entries: Sequence[Prediction], classes: Sequence[str], notes: Sequence[str] = ()
    ) -> None:
        self._entries = tuple(entries)
        self.classes = tuple(classes)
        self.notes = tuple(notes)

    @overload
    def __getitem__(self, index: int) -> Prediction: ...
    @overload
    def __getitem__(self, index: slice) -> Predictions: ...
    def __getitem__(self, index: int | slice) -> Prediction | Predictions:
        if isinstance(index, slice):
            return Predictions(self._entries[index], self.classes, self.notes)
        return self._entries[index]

    def __len__(self) -> int:
        return len(self._entries)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Predictions):
            return NotImplemented
        return (self._entries, self.classes) == (other._entries, other.classes)

    __hash__ = None  # type: ignore[assignment]  # entries hold mappings

    @property
    def labels(self) -> list[str | None]:
        """The most probable class of each image; None for images that cannot be read."""
        return [entry.label for entry in self]

    @property
    def names(self) -> list[str | None]:
        """The file name of each image."""
        return [entry.name for entry in self]

    @property
    def probabilities(self) -> npt.NDArray[np.float64]:
        """Probabilities (N, K) with columns in the order of `classes`; NaN for images that cannot be read."""
        rows = [[entry.probabilities.get(name, np.nan) for name in self.classes] for entry in self]
        return np.array(rows, dtype=np.float64).reshape(len(self), len(self.classes))

    @property
    def errors(self) -> dict[int, str]:
        """Position → reason, of the images that cannot be read."""
        return {index: entry.error for index, entry in enumerate(self) if entry.error is not None}

    def counts(self) -> dict[str, int]:
        """Return the number of images by prediction, the most frequent first.

        Predictions are classes, ``unsure``, and ``unlike_training``.
        """
        counts = Counter(
            UNLIKE if entry.unlike_training else "unsure" if entry.unsure else str(entry.label)
            for entry in self
            if entry.error is None
        )
        return dict(counts.most_common())

    def __repr__(self) -> str:
        counts = self.counts()
        parts = [f"{name} {count:,}" for name, count in list(counts.items())[:_CLASSES]]
        parts += ["…"] * (len(counts) > _CLASSES)
        text = f"{counted(len(self), 'image')}" + (f": {', '.join(parts)}" if parts else "")
        if errors := self.errors:
            names = [_short(self[index].name) or f"[{index}]" for index in list(errors)[:_NAMES]]
            names += ["…"] * (len(errors) > _NAMES)
            text += f"; {len(errors):,} unreadable: {', '.join(names)}"
        return terminal(f"Predictions({text})")

    def _repr_html_(self) -> str:
        cards = "".join(entry._repr_html_() for entry in self._entries[:SHOWN])
        hidden = len(self) - SHOWN
        head = f"<p>{html(repr(self))}</p>{note_lines(self.notes)}"
        return head + cards + (f"<p>… and {hidden:,} more</p>" if hidden > 0 else "")


@dataclass(frozen=True, repr=False, eq=False)
class Explanation:
    """Which parts of an image support a class.

    Attributes:
        label: The class that is explained; None for an image that cannot be read.
        method: The saliency method, as in `heritage.explanation.saliency.Method`.
        saliency: Shape (H, W), from 0 to 1; 0 outside the central crop that the network sees. Without pixels
            for an image that cannot be read, as is `overlay`.
        overlay: The image in grey with the saliency in colour, W × H pixels.
        name: The image's file name; None for an image that was not read from a file.
        error: Why the image cannot be read; None for an explanation.

    Example:
        >>> predictor = heritage.load(run_folder)
        >>> explanation = predictor.explain(photographs / "0.jpg", method="occlusion")
        >>> explanation.saliency.shape, explanation.overlay.size
        ((40, 40), (40, 40))
    """

    label: str | None
    method: str
    saliency: npt.NDArray[np.float32]
    overlay: Image.Image
    name: str | None
    pixels: Pixels = field(repr=False)
    """The image itself, (H, W, 3)."""
    error: str | None = None

    def __repr__(self) -> str:
        if self.error is not None:
            return f"Explanation(error: {shortened(self.error, 70)}{_named(self.name)})"
        height, width = self.saliency.shape
        label = terminal(self.label)
        return f"Explanation({label} by {self.method}, {height}×{width}{_named(self.name)})"

    def _repr_html_(self) -> str:
        if self.error is not None:
            return prediction_card(f"unreadable: {self.error}", self.name, {}, None)
        title = f"{self.label}, by {self.method}"
        return image_card(title, self.name, [self.pixels, np.asarray(self.overlay)])


def unreadable(name: str | None, method: str, error: str) -> Explanation:
    """Return what takes the place of the explanation of an image that cannot be read."""
    nothing = np.zeros((0, 0), np.float32), Image.new("RGB", (0, 0))
    return Explanation(None, method, *nothing, name, np.zeros((0, 0, 3), np.uint8), error)


def _named(name: str | None) -> str:
    return f", {_short(name)}" if name else ""


def _short(name: str | None) -> str | None:
    """Return a file name as a literal of about 40 characters at most, in one line."""
    if name is None:
        return None
    return repr(shortened(name, 40))
