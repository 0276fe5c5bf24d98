"""Speed of evaluation relative to a bare forward loop, and the size of its page.

    python -m benchmarks.evaluation                 all three
    python -m benchmarks.evaluation --part page     one of: loop, bootstrap, page

`loop` runs the same network over the same loader, once by hand and once by
`heritage.features.predict_loop.predict_loader`, alternating.
`bootstrap` resamples 22,363 predictions in 14,000 groups a thousand times. `page` writes a report of
noise pictures with 5,000 thumbnails; its size is printed, and where to find it, to be opened in a browser.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch

from heritage.core.image_io import encode_jpeg
from heritage.core.manifest import Manifest
from heritage.core.taxonomy import CLASSES
from heritage.data.dataset import ArtefactDataset, ImageFiles
from heritage.data.loader import ArtefactLoader, EpochPlan
from heritage.evaluation.assessment import Assessment, EvaluationOptions
from heritage.evaluation.report import LabelCheck, write_evaluation
from heritage.features.predict_loop import predict_loader
from heritage.metrics.bootstrap import bootstrap
from heritage.metrics.calibration import softmax
from heritage.metrics.label_errors import find_label_errors
from heritage.models.backbone import timm_network
from heritage.models.normalize import NormalizedModel

_IMAGES, _GROUPS = 22_363, 14_000


def pictures(folder: Path, count: int, size: int) -> Manifest:
    """Write pictures of soft noise, which compress as photographs do."""
    random = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    columns: dict[str, list[str]] = {"file": [], "class": [], "group_id": []}
    for number in range(count):
        coarse = random.integers(0, 256, (size // 6, size // 6, 3), dtype=np.uint8)
        soft = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC).astype(np.uint8)
        name = f"images/{number:05d}.jpg"
        (folder / name).write_bytes(encode_jpeg(soft, quality=85))
        columns["file"].append(name)
        columns["class"].append(CLASSES[number % len(CLASSES)])
        columns["group_id"].append(str(number // 2))
    return Manifest.build(columns, folder, CLASSES)


def loop(rounds: int, count: int = 1024, size: int = 96) -> None:
    """Print the ratio of `predict_loader` to a bare loop."""
    torch.set_num_threads(1)
    net = timm_network(name="resnet10t", weights="none", drop_rate=None, drop_path_rate=None,
                       grad_checkpointing=False, num_classes=len(CLASSES), image_size=size)  # fmt: skip
    model = NormalizedModel(net.to(memory_format=torch.channels_last)).eval()
    with tempfile.TemporaryDirectory() as folder:
        manifest = pictures(Path(folder) / "set", count, size)
        dataset = ArtefactDataset(ImageFiles(manifest, size), manifest.targets, size=size,
                                  interpolation="bilinear")  # fmt: skip
        plan = EpochPlan(manifest.targets, CLASSES, None, batch_size=64, seed=0)
        loader = ArtefactLoader(dataset, plan, num_workers=0)
        ways: dict[str, Callable[[], object]] = {
            "bare": partial(bare, model, loader),
            "ours": partial(predict_loader, model, loader, torch.device("cpu")),
        }
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        for number in range(rounds + 1):
            # in turns, and each first in every other round: what the machine does besides falls on both
            for way in list(ways) if number % 2 else list(ways)[::-1]:
                start = time.perf_counter()
                ways[way]()
                seconds[way].append(time.perf_counter() - start)
    ratio = statistics.median(seconds["ours"][1:]) / statistics.median(seconds["bare"][1:])
    print(f"loop: {count} images of {size} px take {ratio:.3f} times as long as bare")


def bare(model: NormalizedModel, loader: ArtefactLoader) -> None:
    """Predict all images and keep nothing."""
    with torch.inference_mode():
        for batch in loader:
            model(batch.images)


def predictions() -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return targets, logits and groups of a test set of the thesis's size."""
    random = np.random.default_rng(0)
    targets = random.integers(0, len(CLASSES), _IMAGES)
    logits = random.normal(size=(_IMAGES, len(CLASSES))).astype(np.float32)
    logits[np.arange(_IMAGES), targets] += 2
    return targets, logits, [str(n) for n in random.integers(0, _GROUPS, _IMAGES)]


def resampling() -> None:
    """Print how long a thousand resamples take."""
    targets, logits, groups = predictions()
    shares = softmax(logits)
    start = time.perf_counter()
    bootstrap(targets, shares, groups, resamples=1000)
    ours = time.perf_counter() - start
    print(f"bootstrap: 1,000 resamples of {_IMAGES:,} predictions in {ours:.2f} s")


def page(folder: Path, count: int = 12_000) -> None:
    """Write a report with 5,000 thumbnails and print its size."""
    random = np.random.default_rng(0)
    manifest = pictures(folder / "set", count, 96)
    logits = random.normal(size=(count, len(CLASSES))).astype(np.float32)
    settings = EvaluationOptions(
        resamples=100,
        target_precision=0.9,
        slices=[],
        images_per_pair=500,
        max_images=5000,
        label_errors=120,
        seed=0,
        out_of_fold=None,
    )
    assessment = Assessment("5,000 thumbnails", manifest, manifest.targets, logits, None, settings, {})
    errors = find_label_errors(assessment.probabilities, manifest.targets)
    label_check = LabelCheck(manifest, assessment.probabilities, errors)
    path = write_evaluation(assessment, label_check, [], folder / "report", extra={})
    shown = path.read_text(encoding="utf-8").count("<img data-p=")
    print(f"page: {shown:,} thumbnails, {path.stat().st_size / 1e6:.1f} MB: {path}")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", choices=("loop", "bootstrap", "page"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where to leave the page")
    options = parser.parse_args()
    if options.part in (None, "loop"):
        loop(options.rounds)
    if options.part in (None, "bootstrap"):
        resampling()
    if options.part in (None, "page"):
        page(options.folder or Path(tempfile.mkdtemp()))


if __name__ == "__main__":
    main()
