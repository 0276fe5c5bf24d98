"""`heritage explain`: saliency maps of a checkpoint with tests of their faithfulness, as an HTML page."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from torch import Tensor

from heritage.core.console import Console
from heritage.core.files import atomic_path, write_text
from heritage.core.image_io import Pixels, decode
from heritage.core.manifest import Manifest
from heritage.core.numbers import counted
from heritage.core.option_types import FigureWidth, choice
from heritage.core.progress import Progress
from heritage.core.types import NonNegativeInt, PositiveInt, Seed
from heritage.data import ArtefactDataModule
from heritage.errors import ConfigError
from heritage.explanation.faithfulness import Faithfulness, faithfulness
from heritage.explanation.neighbours import Neighbours
from heritage.explanation.saliency import Method, method_for, saliency
from heritage.features.compute import ImageFeatures
from heritage.features.predict_loop import ModelOutputs
from heritage.inference.checkpoint import TrainedClassifier, describe_checkpoint, load_checkpoint
from heritage.inference.embeddings import classifier_features, print_store
from heritage.inference.predictions import predict_split
from heritage.inference.test_set import TestSet, open_test_set
from heritage.metrics.confusion import confused_pairs
from heritage.reports.figures import contact_sheet, overlay
from heritage.reports.html import write_page
from heritage.reports.thumbnails import Thumbnails
from heritage.runs.locks import run_locked
from heritage.runs.record import resolved, without_nan
from heritage.training.devices import choose_device

_NOT_IN_NAMES = ("images", "/", "..")
PAGE_FILE, RECORD_FILE, OVERLAYS = "explanation.html", "explanation.json", "overlays"
SHEET_FILE = "explanation.png"
_ARCHITECTURE_SPECIFIC = ("gradcam", "attention", "rollout")
_SIDE = 160  # pixels of an image in the page
_NEIGHBOUR_SIDE = 96


@dataclass(frozen=True)
class ExplanationOptions:
    """Options of the page.

    Attributes:
        methods: Methods of `heritage.explanation.saliency`; ``auto`` is the one for the network's
            architecture.
        images_per_class: Correctly predicted images of each class: the most confident and random ones, half
            each.
        pairs: Pairs of confused classes, the most frequent first.
        images_per_pair: Images of each pair, the most confident errors first.
        neighbours: Nearest training images shown with each image; 0 shows none.
        faithfulness_images: Images on which the maps are tested.
        seed: Random seed of drawn images, random maps and shuffled weights.
    """

    methods: list[Method]
    images_per_class: NonNegativeInt
    pairs: NonNegativeInt
    images_per_pair: NonNegativeInt
    neighbours: NonNegativeInt
    faithfulness_images: PositiveInt
    seed: Seed


def explain(cfg: DictConfig, console: Console) -> Path:
    """Draw saliency maps, test their faithfulness and write the page.

    Returns:
        The path of ``explanation.html``.

    Raises:
        HeritageError: The configuration, the checkpoint or the data set is faulty.
    """
    with run_locked(Path(cfg.paths.run)):
        return _explain(cfg, console)


def _explain(cfg: DictConfig, console: Console) -> Path:
    width = choice("figure_width", cfg.figure_width, FigureWidth)
    settings: ExplanationOptions = instantiate(cfg.explain, _convert_="all")
    if not settings.methods:
        raise ConfigError("no method", where="explain.methods", remedy="use explain.methods=[auto]")
    device, folder = choose_device(cfg.device), Path(cfg.paths.run)
    classifier = load_checkpoint(cfg.ckpt, cfg.trusted)
    methods = choose_methods(classifier, settings.methods)
    test_set = open_test_set(classifier, resolved(cfg.data), cfg.split)
    predictions = predict_split(classifier, test_set, test_set.split, device)
    manifest = test_set.manifest(test_set.split).take(predictions.rows)
    features = None
    # the network was not trained on the training split of another data set
    if settings.neighbours and test_set.own:
        features = classifier_features(classifier, test_set.data, device, cfg.paths.outputs)
    gallery = _Gallery(classifier, test_set, predictions, manifest, device, settings, width, features)
    results = []
    for method in methods:
        results.append(gallery.test(method))
        console.print(_sentence(results[-1]), highlight=False, soft_wrap=True)
    page = gallery.write(folder, methods, results)
    print_store(features, console)
    console.print(f"explanation: {page}", highlight=False, soft_wrap=True)
    return page


def choose_methods(classifier: TrainedClassifier, names: list[Method]) -> list[Method]:
    """Replace ``auto`` by the method for the network's architecture, and drop duplicates.

    Raises:
        ConfigError: A method does not support the network; checked on one grey image, before any pass over
            data.
    """
    auto, size = method_for(classifier.model.net, classifier.image_size), classifier.image_size
    methods: list[Method] = list(dict.fromkeys(auto if name == "auto" else name for name in names))
    for method in methods:
        if method in _ARCHITECTURE_SPECIFIC:
            grey = torch.full((1, size, size, 3), 128, dtype=torch.uint8)
            saliency(classifier.model, grey, torch.zeros(1, dtype=torch.int64), method)
    return methods


class _Gallery:
    """Chooses images, computes their maps and writes the page."""

    def __init__(
        self,
        classifier: TrainedClassifier,
        test_set: TestSet,
        predictions: ModelOutputs,
        manifest: Manifest,
        device: torch.device,
        settings: ExplanationOptions,
        width: FigureWidth,
        features: ImageFeatures | None,
    ) -> None:
        self._model = classifier.model.to(device).eval()
        self._title = f"Saliency maps of {describe_checkpoint(classifier).model} on {test_set.name}"
        self._data: ArtefactDataModule = test_set.data
        self._split = test_set.split
        self._notes = (*classifier.notes, *test_set.notes, *test_set.left_out())
        self._predictions, self._manifest, self._device = predictions, manifest, device
        self._settings, self._width = settings, width
        self._predicted = predictions.logits.argmax(axis=1)
        self._random = np.random.default_rng(settings.seed)
        self._neighbours = (
            None
            if features is None
            else Neighbours(test_set, predictions.rows, settings.neighbours, features)
        )

    def test(self, method: Method) -> Faithfulness:
        """Test the faithfulness of a method on randomly drawn images."""
        total = len(self._predictions.targets)
        count = min(self._settings.faithfulness_images, total)
        rows = np.random.default_rng(self._settings.seed).choice(total, count, replace=False)
        images, predicted = self._images(rows), torch.from_numpy(self._predicted[rows]).to(self._device)
        maps = saliency(self._model, images, predicted, method)
        return faithfulness(self._model, images, predicted, method, maps=maps, seed=self._settings.seed)

    def write(self, folder: Path, methods: list[Method], results: list[Faithfulness]) -> Path:
        """Write overlays, page and ``explanation.json``."""
        thumbnails = Thumbnails(self._manifest)
        chosen = self._choose_images()
        sections = []
        with Progress("images", sum(len(rows) for _, _, rows in chosen)) as progress:
            for name, note, rows in chosen:
                shown = [self._image(row, methods, thumbnails, folder) for row in rows]
                of_errors = name not in self._manifest.classes
                sections.append({"name": name, "note": note, "of_errors": of_errors, "images": shown})
                progress.advance(len(rows))
        labels = {one.method: one.label for one in results}
        record = {one.method: _record(one) for one in results}
        self._write_sheet(sections, methods, thumbnails, folder)
        write_text(folder / RECORD_FILE, json.dumps(without_nan(record), indent=2) + "\n")
        write_page(
            "explanation",
            folder / PAGE_FILE,
            title=self._title,
            notes=self._notes,
            methods=[(method, METHOD_NAMES[method], labels[method]) for method in methods],
            results=[(METHOD_NAMES[one.method], one, _sentence(one)) for one in results],
            sections=sections,
            neighbours=0 if self._neighbours is None else self._settings.neighbours,
            pictures=thumbnails.sources,
        )
        return folder / PAGE_FILE

    def _write_sheet(
        self, sections: list[dict[str, Any]], methods: list[Method], thumbnails: Thumbnails, folder: Path
    ) -> None:
        """Draw the first image of each section with its maps, for papers."""
        rows = []
        for one in sections:
            first = one["images"][0]
            places = [first["place"], *(place for _, place in first["maps"])]
            if None not in places:
                shown = [decode(base64.b64decode(thumbnails.sources[place])) for place in places]
                rows.append((one["name"], shown))
        if rows:
            headings = ["photograph", *(METHOD_NAMES[method] for method in methods)]
            contact_sheet(rows, headings, self._title, folder / SHEET_FILE, self._width)

    def _choose_images(self) -> list[tuple[str, str, list[int]]]:
        """Return sections of the page: heading, remark and rows."""
        targets, probabilities = self._predictions.targets, self._predictions.probabilities
        settings = self._settings
        sections = []
        for k, name in enumerate(self._manifest.classes):
            correct = np.flatnonzero((targets == k) & (self._predicted == k))
            correct = correct[np.argsort(-probabilities[correct, k], kind="stable")]
            confident = correct[: (settings.images_per_class + 1) // 2]
            rest = correct[len(confident) :]
            drawn = self._random.permutation(rest)[: settings.images_per_class - len(confident)]
            sections.append((name, "correct: most confident and random images", [*confident, *drawn]))
        pairs = confused_pairs(
            targets, probabilities, images_per_pair=settings.images_per_pair, max_images=10**6
        )
        for pair in pairs[: settings.pairs]:
            true, predicted = (self._manifest.classes[k] for k in (pair.true, pair.predicted))
            name = f"{true} predicted as {predicted}"
            sections.append((name, counted(pair.count, "image"), list(pair.rows)))
        return [(name, note, [int(row) for row in rows]) for name, note, rows in sections if len(rows)]

    def _image(self, row: int, methods: list[Method], thumbnails: Thumbnails, folder: Path) -> dict[str, Any]:
        image = self._images(np.array([row]))
        predicted = torch.tensor([int(self._predicted[row])], device=self._device)
        pixels: Pixels = image[0].cpu().numpy()
        overlays = []
        for method in methods:
            values = saliency(self._model, image, predicted, method)[0].cpu().numpy()
            drawn = overlay(
                _enlarged(pixels), np.asarray(cv2.resize(values, (_SIDE, _SIDE)), dtype=np.float64)
            )
            # the id is unique: folders may have images of one name, also ones that differ in their suffix
            parts = PurePosixPath(str(self._manifest.table["image_id"][row].as_py())).parts
            name = f"{'_'.join(part for part in parts if part not in _NOT_IN_NAMES)}_{method}.png"
            _write_png(drawn, folder / OVERLAYS / name)
            overlays.append(thumbnails.add(drawn))
        return {
            "place": thumbnails.add(_enlarged(pixels)),
            "maps": list(zip(methods, overlays, strict=True)),
            "neighbours": self._nearest(row, thumbnails),
            "caption": thumbnails.caption(row),
            "true": self._manifest.classes[int(self._predictions.targets[row])],
            "predicted": self._manifest.classes[int(self._predicted[row])],
            "confidence": float(self._predictions.probabilities[row].max()),
        }

    def _nearest(self, row: int, thumbnails: Thumbnails) -> list[dict[str, Any]]:
        if self._neighbours is None:
            return []
        return [
            {
                "place": thumbnails.add(_enlarged(one.pixels, _NEIGHBOUR_SIDE)),
                "label": one.label,
                "cosine": one.cosine,
                "file": one.file,
            }
            for one in self._neighbours.of(np.array([row]))[0]
        ]

    def _images(self, rows: np.ndarray[Any, np.dtype[np.int64]]) -> Tensor:
        stored = self._data.eval_images(self._split, self._predictions.rows[rows])
        return torch.from_numpy(np.stack(stored)).to(self._device)


METHOD_NAMES = {
    "gradcam": "Grad-CAM",
    "attention": "gradient-weighted attention",
    "rollout": "attention rollout",
    "integrated_gradients": "integrated gradients",
    "occlusion": "occlusion",
}
"""Names of the methods in the page."""


def _record(one: Faithfulness) -> dict[str, Any]:
    """Return a result for ``explanation.json``, with the keys of version 0.1."""
    values = asdict(one)
    values.pop("gain")
    values["alike"] = values.pop("shuffled_similarity")
    return values | {"pictures": len(one.gain), "beats_random": one.beats_random, "label": one.label}


def _sentence(one: Faithfulness) -> str:
    name = METHOD_NAMES[one.method]
    name = name[0].upper() + name[1:]
    low, high = one.advantage.low, one.advantage.high
    words = f"{name} beats random maps" if one.beats_random else f"{name} does not beat random maps"
    words += f": insertion minus deletion is {one.gain.mean():+.3f} ({low:+.3f} – {high:+.3f}) above theirs "
    words += f"on {counted(len(one.gain), 'image')}"
    if np.isnan(one.shuffled_similarity):
        return f"{words}; maps of the network with shuffled weights are constant."
    correlation = f"rank correlation with maps of shuffled weights {one.shuffled_similarity:.2f}"
    if one.depends_on_weights:
        return f"{words}; {correlation}."
    return f"{words}; {correlation}: the maps show edges of the image and not what was learnt."


def _enlarged(pixels: Pixels, side: int = _SIDE) -> Pixels:
    return np.asarray(cv2.resize(pixels, (side, side), interpolation=cv2.INTER_CUBIC))


def _write_png(pixels: Pixels, path: Path) -> None:
    with atomic_path(path) as temporary:
        # unlike imwrite, which only returns False, writing the bytes raises an error on a full disk
        temporary.write_bytes(cv2.imencode(".png", pixels[:, :, ::-1])[1].tobytes())
