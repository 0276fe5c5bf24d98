"""From a checkpoint to pictures of where it looks, and whether they can be believed: `heritage explain`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from rich.console import Console
from torch import Tensor

from heritage.core.files import atomic_path, write_text
from heritage.core.image_io import Pixels
from heritage.core.manifest import Manifest
from heritage.core.progress import Progress
from heritage.core.types import NonNegativeInt, PositiveInt
from heritage.data import ArtefactDataModule
from heritage.errors import ConfigError
from heritage.explanation.faithfulness import Faithfulness, faithfulness
from heritage.explanation.neighbours import Neighbours
from heritage.explanation.saliency import Method, method_for, saliency
from heritage.inference.checkpoint import TrainedClassifier, describe_checkpoint, load_checkpoint
from heritage.inference.predictions import choose_device, predict_split
from heritage.inference.test_set import TestSet, open_test_set
from heritage.metrics.confusions import pairs
from heritage.reports.figures import overlay
from heritage.reports.html import write_page
from heritage.reports.thumbnails import Thumbnails
from heritage.runs.record import resolved
from heritage.training.predict_loop import Predictions

PAGE_FILE, RECORD_FILE, OVERLAYS = "explanation.html", "explanation.json", "overlays"
_PARTICULAR = ("gradcam", "attention", "rollout")  # methods that some networks have no maps for
_SHOWN_SIDE = 160  # pixels of a picture in the page


@dataclass(frozen=True)
class ExplanationOptions:
    """What to explain.

    Attributes:
        methods: Methods of `heritage.explanation.saliency`; ``auto`` takes the one for the network's kind.
        each: Pictures of each class that are called right, half the surest and half drawn by lot.
        kinds: Kinds of mistakes, the most frequent first.
        of_kind: Pictures of each kind, the most confident mistakes first.
        neighbours: Nearest training photographs shown with each picture; 0 shows none.
        faith: Pictures on which the maps are held against chance.
        seed: Of lots, random maps and shuffled weights.
    """

    methods: list[Method]
    each: NonNegativeInt
    kinds: NonNegativeInt
    of_kind: NonNegativeInt
    neighbours: NonNegativeInt
    faith: PositiveInt
    seed: NonNegativeInt


def explain(cfg: DictConfig, console: Console) -> Path:
    """Draw maps, score them and write the gallery.

    Returns:
        The path of ``explanation.html``.

    Raises:
        HeritageError: Whatever keeps it from being done, in words.
    """
    settings: ExplanationOptions = instantiate(cfg.explain, _convert_="all")
    if not settings.methods:
        raise ConfigError("no method", where="explain.methods", remedy="use explain.methods=[auto]")
    device, folder = choose_device(cfg.device), Path(cfg.paths.run)
    trained = load_checkpoint(cfg.ckpt)
    methods = chosen_methods(trained, settings.methods)
    testbed = open_test_set(trained, resolved(cfg.data), cfg.split)
    answers = predict_split(trained, testbed, testbed.split, device)
    manifest = testbed.manifest(testbed.split).take(answers.rows)
    gallery = _Gallery(trained, testbed, answers, manifest, device, settings)
    found = []
    for method in methods:
        found.append(gallery.score(method))
        console.print(_verdict(found[-1]), highlight=False, soft_wrap=True)
    page = gallery.write(folder, methods, found)
    console.print(f"explanation: {page}", highlight=False, soft_wrap=True)
    return page


def chosen_methods(trained: TrainedClassifier, wished: list[Method]) -> list[Method]:
    """Replace ``auto`` by the method for the network's kind, each method once.

    Raises:
        ConfigError: A method does not fit the network: said now, not after passes over the data.
    """
    auto, size = method_for(trained.model.net, trained.image_size), trained.image_size
    methods: list[Method] = list(dict.fromkeys(auto if method == "auto" else method for method in wished))
    for method in methods:
        if method in _PARTICULAR:
            grey = torch.full((1, size, size, 3), 128, dtype=torch.uint8)
            saliency(trained.model, grey, torch.zeros(1, dtype=torch.int64), method)
    return methods


class _Gallery:
    """Chooses pictures, makes their maps and writes the page."""

    def __init__(
        self,
        trained: TrainedClassifier,
        testbed: TestSet,
        answers: Predictions,
        manifest: Manifest,
        device: torch.device,
        settings: ExplanationOptions,
    ) -> None:
        self._model = trained.model.to(device).eval()
        self._title = f"Where {describe_checkpoint(trained).model} looks, on {testbed.name}"
        self._data: ArtefactDataModule = testbed.data
        self._split = testbed.split
        self._notes = testbed.notes
        self._answers, self._manifest, self._device = answers, manifest, device
        self._settings = settings
        self._predicted = answers.logits.argmax(axis=1)
        self._random = np.random.default_rng(settings.seed)
        # another data set's training split says nothing of what this network has seen
        self._neighbours = (
            Neighbours(trained, testbed, device, settings.neighbours)
            if settings.neighbours and testbed.own
            else None
        )

    def score(self, method: Method) -> Faithfulness:
        """Hold a method's maps of some pictures against chance."""
        count = min(self._settings.faith, len(self._answers.targets))
        rows = np.random.default_rng(self._settings.seed).choice(
            len(self._answers.targets), count, replace=False
        )
        images, called = self._images(rows), torch.from_numpy(self._predicted[rows]).to(self._device)
        maps = saliency(self._model, images, called, method)
        return faithfulness(self._model, images, called, method, maps=maps, seed=self._settings.seed)

    def write(self, folder: Path, methods: list[Method], found: list[Faithfulness]) -> Path:
        """Write overlays, page and record."""
        pictures = Thumbnails(self._manifest)
        chosen = self._chosen()
        sections = []
        with Progress("pictures", sum(len(rows) for _, _, rows in chosen)) as progress:
            for name, note, rows in chosen:
                shown = [self._figure(row, methods, pictures, folder) for row in rows]
                mistake = name not in self._manifest.classes
                sections.append({"name": name, "note": note, "mistake": mistake, "shown": shown})
                progress.advance(len(rows))
        labels = {one.method: one.label for one in found}
        record = {
            one.method: {key: value for key, value in asdict(one).items() if key != "gain"}
            | {"pictures": len(one.gain), "beats_random": one.beats_random, "label": one.label}
            for one in found
        }
        write_text(folder / RECORD_FILE, json.dumps(_plain(record), indent=2) + "\n")
        write_page(
            "explanation",
            folder / PAGE_FILE,
            title=self._title,
            notes=self._notes,
            methods=[(method, METHOD_NAMES[method], labels[method]) for method in methods],
            faith=[(METHOD_NAMES[one.method], one, _verdict(one)) for one in found],
            sections=sections,
            neighbours=0 if self._neighbours is None else self._settings.neighbours,
            pictures=pictures.sources,
        )
        return folder / PAGE_FILE

    def _chosen(self) -> list[tuple[str, str, list[int]]]:
        targets, shares = self._answers.targets, self._answers.probabilities
        sections = []
        for k, name in enumerate(self._manifest.classes):
            right = np.flatnonzero((targets == k) & (self._predicted == k))
            right = right[np.argsort(-shares[right, k], kind="stable")]
            surest = right[: (self._settings.each + 1) // 2]
            rest = right[len(surest) :]
            drawn = self._random.permutation(rest)[: self._settings.each - len(surest)]
            sections.append((name, "called right: the surest, and some drawn by lot", [*surest, *drawn]))
        for kind in pairs(targets, shares, each=self._settings.of_kind, most=10**6)[: self._settings.kinds]:
            true, called = (self._manifest.classes[k] for k in (kind.true, kind.predicted))
            sections.append((f"{true} taken for {called}", f"{kind.count:,} images", list(kind.rows)))
        return [(name, note, [int(row) for row in rows]) for name, note, rows in sections if len(rows)]

    def _figure(self, row: int, methods: list[Method], pictures: Thumbnails, folder: Path) -> dict[str, Any]:
        image = self._images(np.array([row]))
        called = torch.tensor([int(self._predicted[row])], device=self._device)
        pixels: Pixels = image[0].cpu().numpy()
        drawn = []
        for method in methods:
            seen = saliency(self._model, image, called, method)[0].cpu().numpy()
            over = overlay(
                _enlarged(pixels), np.asarray(cv2.resize(seen, (_SHOWN_SIDE, _SHOWN_SIDE)), dtype=np.float64)
            )
            # two folders may each have a photograph of one name
            file = Path(self._manifest.table["file"][row].as_py()).with_suffix("")
            name = f"{'_'.join(part for part in file.parts if part != 'images')}_{method}.png"
            _write_png(over, folder / OVERLAYS / name)
            drawn.append(pictures.add(over))
        return {
            "place": pictures.add(_enlarged(pixels)),
            "maps": list(zip(methods, drawn, strict=True)),
            "neighbours": self._alike(row, pictures),
            "about": pictures.about(row),
            "true": self._manifest.classes[int(self._answers.targets[row])],
            "predicted": self._manifest.classes[int(self._predicted[row])],
            "confidence": float(self._answers.probabilities[row].max()),
        }

    def _alike(self, row: int, pictures: Thumbnails) -> list[dict[str, Any]]:
        if self._neighbours is None:
            return []
        return [
            {"place": pictures.add(_enlarged(one.pixels, 96)), "label": one.label, "cosine": one.cosine,
             "file": one.file}
            for one in self._neighbours.of(np.array([row]))[0]
        ]  # fmt: skip

    def _images(self, rows: np.ndarray[Any, np.dtype[np.int64]]) -> Tensor:
        stored = self._data.eval_images(self._split, self._answers.rows[rows])
        return torch.from_numpy(np.stack(stored)).to(self._device)


METHOD_NAMES = {
    "gradcam": "Grad-CAM",
    "attention": "gradient-weighted attention",
    "rollout": "attention rollout",
    "integrated_gradients": "integrated gradients",
    "occlusion": "occlusion",
}
"""What people call the methods."""


def _verdict(one: Faithfulness) -> str:
    name = METHOD_NAMES[one.method]
    low, high = one.advantage.low, one.advantage.high
    said = f"{name} beats random maps" if one.beats_random else f"{name} does not beat random maps"
    said += f": insertion minus deletion is {one.gain.mean():+.3f} ({low:+.3f} – {high:+.3f}) beyond theirs "
    said += f"on {len(one.gain)} pictures"
    if np.isnan(one.alike):
        return f"{said}; the maps are flat without what was learnt."
    if one.depends_on_weights:
        return f"{said}; with shuffled weights the maps change (rank correlation {one.alike:.2f})."
    return (
        f"{said}; with shuffled weights the maps stay alike ({one.alike:.2f}): they show the picture's edges."
    )


def _enlarged(pixels: Pixels, side: int = _SHOWN_SIDE) -> Pixels:
    return np.asarray(cv2.resize(pixels, (side, side), interpolation=cv2.INTER_CUBIC))


def _write_png(pixels: Pixels, path: Path) -> None:
    with atomic_path(path) as temporary:
        cv2.imwrite(str(temporary), pixels[:, :, ::-1])


def _plain(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _plain(value) for key, value in node.items()}
    return None if isinstance(node, float) and np.isnan(node) else node
