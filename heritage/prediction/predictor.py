"""A trained network as a Python object: images to probabilities, embeddings and saliency maps."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence, Sized
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, cast, get_args, overload

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from heritage.core.image_io import Pixels
from heritage.core.numbers import counted
from heritage.core.progress import Progress
from heritage.errors import ImageError
from heritage.explanation.saliency import Method, method_for
from heritage.inference.checkpoint import TrainedClassifier
from heritage.inference.ensemble import load_members
from heritage.inference.prior import Prior
from heritage.metrics.finite import NO_PREDICTION
from heritage.models.views import Views, pooled_logits, whole_image
from heritage.prediction.arguments import require_count, require_option, require_path, require_rule
from heritage.prediction.batch_prediction import BatchPrediction
from heritage.prediction.decision_rule import DecisionRule
from heritage.prediction.image_input import (
    ImageInput,
    image_name,
    in_memory,
    is_image,
    load_pixels,
    require_several,
)
from heritage.prediction.image_predictions import image_predictions
from heritage.prediction.members import MemberNetwork, NetworkInputs, mean_saliency
from heritage.prediction.read_rule import read_outlier_rule, read_rule
from heritage.prediction.results import Explanation, Prediction, Predictions, unreadable
from heritage.prediction.streaming import PreparedImage, prepare_image, prepared_batches
from heritage.runs.outliers import OutlierRule
from heritage.runs.run_result import RunResult
from heritage.training.devices import choose_device

log = logging.getLogger(__name__)

_BATCH = 64
_LONG = 4  # batches from which a progress bar is shown


def load(
    ckpt: str | Path | RunResult | Sequence[str | Path | RunResult],
    *,
    device: str | torch.device = "auto",
    tta: Views = "none",
    threshold: float | None = None,
    coverage: float | None = None,
    coverage_by_class: bool = False,
    prior: Prior | None = None,
    outliers: bool = True,
    trusted: Iterable[str] = (),
) -> Predictor:
    """Load a trained network for prediction.

    Args:
        ckpt: A run folder (its best checkpoint is used), a checkpoint, or what `heritage.run` returned; or a
            list of them, whose probabilities are averaged.
        device: Where to compute: ``auto`` (a GPU if there is one), ``cpu``, ``gpu``, or torch's own name
            (``cuda:1``).
        tta: Test-time augmentation: probabilities are averaged over the views of
            `heritage.models.views.Views`, such as ``flip`` (the image and its mirror image, twice the time).
        threshold: Predictions with a confidence below it are unsure; None takes the threshold that was fitted
            on validation.
        coverage: Promised coverage of prediction sets (`Prediction.prediction_set`), from 0.5 to 0.99; None
            gives none.
        coverage_by_class: Whether the coverage is promised for each class.
        prior: The class frequencies of the images, if they are not those of validation: ``"uniform"`` or
            shares by class, such as ``{"byzantium": 0.8}``; classes that are not named share the rest.
        outliers: Whether images unlike the training images are marked (`Prediction.unlike_training`), if
            `heritage evaluate` has fitted their score.
        trusted: Dotted names of networks of your own that the checkpoint may name; they are imported.

    Raises:
        CheckpointError: There is no such checkpoint, or it is damaged.
        ConfigError: An option has a value that it cannot have, or there is no such device.
        ArgumentError: An argument has the wrong type.

    Example:
        >>> predictor = heritage.load(run_folder)
        >>> predictor.predict(photographs / "0.jpg").label in predictor.classes
        True
    """
    several = isinstance(ckpt, Sequence) and not isinstance(ckpt, str)
    paths = [_checked_path(one) for one in (cast("Sequence[Any]", ckpt) if several else [ckpt])]
    device = choose_device(device)
    require_option("tta", tta, get_args(Views))
    require_rule(threshold, coverage)
    members = load_members(paths if several else paths[0], trusted)
    trained, *others = members
    rule = read_rule(members, tta, prior).with_threshold(threshold)
    rule = rule.with_sets(coverage, trained.classes, by_class=coverage_by_class, tta=tta)
    unlike = read_outlier_rule(members, tta, wanted=outliers)
    predictor = Predictor(trained, rule, device=device, tta=tta, others=others, outliers=unlike)
    for note in predictor.notes:
        log.warning("%s", note)
    return predictor


def _checked_path(ckpt: Any) -> str | Path:
    if isinstance(ckpt, RunResult) and ckpt.folder is not None:
        ckpt = ckpt.folder
    require_path("ckpt", ckpt)
    return cast("str | Path", ckpt)


class Predictor:
    """A trained network on a device, with its decision rule; made by `load`.

    Not thread-safe.

    Args:
        trained: The network.
        decision_rule: Temperature and threshold.
        device: Where to compute.
        tta: Test-time augmentation: probabilities and embeddings are averaged over these views.
        others: Further networks, whose probabilities are averaged with its.
        outliers: The score of images unlike the first network's training images; None marks none.

    Raises:
        ConfigError: The network does not take these views.

    Example:
        >>> predictor = heritage.load(run_folder)
        >>> predictor.predict([photographs / "0.jpg", photographs / "1.jpg"]).names
        ['0.jpg', '1.jpg']
    """

    def __init__(
        self,
        trained: TrainedClassifier,
        decision_rule: DecisionRule,
        *,
        device: str | torch.device = "auto",
        tta: Views = "none",
        others: Sequence[TrainedClassifier] = (),
        outliers: OutlierRule | None = None,
    ) -> None:
        self.trained = trained
        self.outliers = outliers
        self.decision_rule = decision_rule
        self.device = choose_device(device)
        self.precision = trained.precision(self.device)
        self.tta = tta
        self.networks = (trained, *others)
        self._members = [MemberNetwork(one, self.device, tta) for one in self.networks]
        self.inputs = NetworkInputs(self.networks)

    @property
    def notes(self) -> tuple[str, ...]:
        """What users of the predictions need to know; `load` logs it, `predict` adds it to its results."""
        of_networks = dict.fromkeys(note for one in self.networks for note in one.notes)
        return (*of_networks, *self.decision_rule.notes(self.tta))

    def __repr__(self) -> str:
        name = self.trained.config["model"].get("name") or type(self.trained.model.net).__name__
        size, count = self.image_size, len(self.classes)
        drawn = "; trained on drawings only" if self.trained.training_images.all_drawn else ""
        rule = f"{self.decision_rule.brief}{drawn}"
        name = name if len(self.networks) == 1 else f"{len(self.networks)} networks"
        return f"Predictor({name}, {counted(count, 'class')}, {size}×{size} px, {self.device}; {rule})"

    @property
    def classes(self) -> tuple[str, ...]:
        """The class list, length K."""
        return self.trained.classes

    @property
    def image_size(self) -> int:
        """Height and width of the network's input in pixels, S; the largest of several networks."""
        return self.inputs.image_size

    @overload
    def predict(self, images: ImageInput) -> Prediction: ...  # type: ignore[overload-overlap]  # str is iterable
    @overload
    def predict(self, images: Iterable[ImageInput], *, batch_size: int = _BATCH) -> Predictions: ...
    def predict(
        self, images: ImageInput | Iterable[ImageInput], *, batch_size: int = _BATCH
    ) -> Prediction | Predictions:
        """Predict the class of one image or of several.

        The probabilities are those that `heritage predict` writes for the same files.

        Args:
            images: A path, an encoded file as bytes or an open binary file, a Pillow image, a uint8 array or
                tensor (`heritage.prediction.image_input.ImageInput`), or an iterable of these. Iterables are
                streamed: memory holds two batches of images at most.
            batch_size: Images per step.

        Returns:
            A `Prediction` for one image, `Predictions` for an iterable. Of several images, those that cannot
            be read, or for which the network's output is not finite, keep their place and have
            `Prediction.error` set.

        Raises:
            ImageError: A single image cannot be read.
            ArgumentError: A value is not an image; it is a TypeError, too.

        Example:
            >>> predictor = heritage.load(run_folder)
            >>> predictions = predictor.predict(sorted(photographs.glob("?.jpg")))
            >>> [prediction.label in predictor.classes for prediction in predictions]
            [True, True, True, True, True]
        """
        if is_image(images):
            image = self._prepare(images)
            prediction = self._predictions([image], self.predict_batch(self._stack([image])))[0]
            return replace(prediction, notes=self.notes)
        entries: list[Prediction] = []
        for batch, output in self._stream(images, batch_size):
            entries += self._predictions(batch, output)
        return Predictions(entries, self.classes, self.notes)

    def embed(
        self, images: ImageInput | Iterable[ImageInput], *, batch_size: int = _BATCH
    ) -> npt.NDArray[np.float32]:
        """Return the input of the network's last layer for each image.

        Args:
            images: As for `predict`.
            batch_size: Images per step.

        Returns:
            Shape (N, D), N of 1 for a single image. Rows of images without a prediction are NaN.

        Raises:
            ImageError: A single image cannot be read.
            ArgumentError: A value is not an image; it is a TypeError, too.

        Example:
            >>> predictor = heritage.load(run_folder)
            >>> predictor.embed([photographs / "0.jpg", photographs / "1.jpg"]).dtype
            dtype('float32')
        """
        if is_image(images):
            return self.predict_batch(self._stack([self._prepare(images)])).embeddings
        blocks = []
        width = self.embedding_width()
        for batch, output in self._stream(images, batch_size):
            block = np.full((len(batch), width), np.nan, dtype=np.float32)
            readable = [one.pixels is not None for one in batch]
            if any(readable):  # the network predicted nothing otherwise
                block[readable] = np.where(output.predicted[:, None], output.embeddings, np.nan)
            blocks.append(block)
        return np.concatenate(blocks) if blocks else np.empty((0, width), dtype=np.float32)

    @overload
    def explain(  # type: ignore[overload-overlap]  # str is iterable
        self, images: ImageInput, *, label: str | None = None, method: Method = "auto"
    ) -> Explanation: ...
    @overload
    def explain(
        self, images: Iterable[ImageInput], *, label: str | None = None, method: Method = "auto"
    ) -> list[Explanation]: ...
    def explain(
        self,
        images: ImageInput | Iterable[ImageInput],
        *,
        label: str | None = None,
        method: Method = "auto",
    ) -> Explanation | list[Explanation]:
        """Return saliency maps: which parts of an image support a class.

        Args:
            images: One image or several, as for `predict`.
            label: The class to explain; None takes the most probable one of each image.
            method: A saliency method; ``auto`` chooses one for the kind of network
                (`heritage.explanation.saliency.saliency`).

        Returns:
            An `Explanation` for one image, a list for an iterable. Of several images, those that cannot be
            read keep their place and have `Explanation.error` set.

        Raises:
            ImageError: A single image cannot be read.
            ConfigError: There is no such class, or the method does not fit the network.
            ArgumentError: A value is not an image; it is a TypeError, too.

        Example:
            >>> predictor = heritage.load(run_folder)
            >>> predictor.explain(photographs / "0.jpg", label="islam").label
            'islam'
            >>> [one.name for one in predictor.explain([photographs / "0.jpg", photographs / "1.jpg"])]
            ['0.jpg', '1.jpg']
        """
        if label is not None:
            require_option("label", label, self.classes)
        require_option("method", method, get_args(Method))
        if method == "auto":
            one = len(self.networks) == 1
            method = method_for(self.trained.model.net, self.image_size) if one else "occlusion"
        if is_image(images):
            return self._explain(images, label, method)
        require_several(images)
        return [self._explain_one_of_several(image, label, method) for image in images]

    def _explain(self, image: ImageInput, label: str | None, method: Method) -> Explanation:
        from heritage.reports.figures import overlay  # matplotlib takes half a second to import

        name, image = image_name(image), in_memory(image)
        pixels = load_pixels(image)
        if label is None:
            label = self.predict(image).label
        if label is None:
            raise ImageError(NO_PREDICTION, where=name or "image", remedy="try device=cpu")
        prepared = self.prepare(load_pixels(image, at_least=self.image_size))
        seen = self.saliency(prepared, self.classes.index(label), method)
        strength = whole_image(seen, pixels.shape[:2], self.trained.crop_pct)
        return Explanation(label, method, strength, Image.fromarray(overlay(pixels, strength)), name, pixels)

    def _explain_one_of_several(self, image: ImageInput, label: str | None, method: Method) -> Explanation:
        try:
            return self._explain(image, label, method)
        except ImageError as error:
            return unreadable(image_name(image), method, error.what)

    def prepare(self, pixels: Pixels) -> Pixels:
        """Resize an image (H, W, 3) as evaluation does, to (S, S, 3) or, for inputs that differ, a row."""
        return self.inputs.prepare(pixels)

    def predict_batch(self, images: Tensor) -> BatchPrediction:
        """Return probabilities and the first network's embeddings of prepared images; B may be 0."""
        if not len(images):  # not every network accepts an empty batch
            return BatchPrediction(np.empty((0, len(self.classes))), np.empty((0, 0), dtype=np.float32))
        outputs = [
            member.outputs(one) for member, one in zip(self._members, self.inputs.split(images), strict=True)
        ]
        logits = pooled_logits([one for one, _ in outputs]).numpy()
        embeddings = outputs[0][1]
        scores = None if self.outliers is None else self.outliers.relative(embeddings)
        return BatchPrediction(self.decision_rule.probabilities(logits), embeddings, scores)

    def saliency(self, pixels: Pixels, target: int, method: Method = "occlusion") -> npt.NDArray[np.float32]:
        """Return a saliency map (S, S) from 0 to 1.

        Args:
            pixels: The network's input, (S, S, 3), from `prepare`.
            target: The index of the class to explain.
            method: The saliency method.
        """
        return mean_saliency(self._members, self.inputs, pixels, target, method)

    def embedding_width(self) -> int:
        """Return the length of an embedding, D."""
        return int(self.predict_batch(self.inputs.blank()).embeddings.shape[1])

    def _stream(
        self, images: Iterable[ImageInput], batch_size: int
    ) -> Iterator[tuple[list[PreparedImage], BatchPrediction]]:
        """Yield batches of images with the output for those that can be read."""
        require_several(images)
        require_count("batch_size", batch_size)
        total = len(images) if isinstance(images, Sized) else 0
        bar = Progress("predicting", total, logs=False) if total > _LONG * batch_size else nullcontext()
        with bar as progress:
            for batch in prepared_batches(
                images, self.prepare, at_least=self.image_size, batch_size=batch_size
            ):
                yield batch, self.predict_batch(self._stack(batch))
                if progress is not None:
                    progress.advance(len(batch))

    def _stack(self, batch: Iterable[PreparedImage]) -> Tensor:
        """Return the images that can be read, (B, S, S, 3)."""
        pixels = [image.pixels for image in batch if image.pixels is not None]
        shape = (0, *self.inputs.shape)
        return torch.from_numpy(np.stack(pixels) if pixels else np.empty(shape, dtype=np.uint8))

    def _prepare(self, image: ImageInput) -> PreparedImage:
        return prepare_image(image, self.prepare, at_least=self.image_size)

    def _predictions(self, batch: Iterable[PreparedImage], output: BatchPrediction) -> list[Prediction]:
        return image_predictions(batch, output, self.classes, self.decision_rule)
