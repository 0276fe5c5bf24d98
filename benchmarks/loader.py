"""Images/s of our loader and of timm's, on the same JPEG files, interleaved in one run.

    python -m benchmarks.loader                                   demo artefacts of 256 pixels
    python -m benchmarks.loader --images /data/set/images --size 224 --workers 2

Both decode, take a random resized crop and flip, and hand over batches: ours uint8, to be normalised on
the device; timm's uint8 with its prefetcher (which normalises on the device) and float without.
Every figure is a median of rounds; only ratios within one run mean anything on a shared machine.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from timm.data import create_dataset, create_loader

from heritage.core.image_io import encode_jpeg
from heritage.core.manifest import Manifest
from heritage.core.taxonomy import CLASSES
from heritage.data.augment import Augmentation
from heritage.data.dataset import ArtefactDataset, ImageFiles
from heritage.data.loader import ArtefactLoader, EpochPlan
from heritage.data.sampling import InstanceBalanced
from heritage.demo import draw_artefact

CROP_AND_FLIP = Augmentation(
    crop_scale=[0.35, 1.0], crop_ratio=[0.75, 1.3333], flip=0.5, rotate=0, zoom=0, shear=0, distort=0,
    brightness=0, contrast=0, saturation=0, hue=0, grey=0, blur=0, rand_ops=0, rand_magnitude=0,
)  # fmt: skip


def draw(folder: Path, count: int, size: int) -> None:
    """Write demo artefacts as a tree with one folder for each class."""
    for number in range(count):
        name = CLASSES[number % len(CLASSES)]
        (folder / name).mkdir(exist_ok=True)
        # a hundred pictures are enough to decode; each gets its own file
        pixels = draw_artefact(name, number % 100 // len(CLASSES), 0, size=size, seed=0)
        (folder / name / f"{number:05d}.jpg").write_bytes(encode_jpeg(pixels))


def ours(root: Path, files: list[Path], size: int, workers: int, batch: int) -> ArtefactLoader:
    """Return the project's loader."""
    names = [path.relative_to(root).as_posix() for path in files]
    manifest = Manifest.build({"file": names, "class": [CLASSES[0]] * len(names)}, root, CLASSES)
    dataset = ArtefactDataset(
        ImageFiles(manifest, size),
        manifest.targets,
        size=size,
        interpolation="bilinear",
        transform=CROP_AND_FLIP,
    )
    plan = EpochPlan(manifest.targets, CLASSES, InstanceBalanced(), batch_size=batch, seed=0)
    return ArtefactLoader(dataset, plan, num_workers=workers)


def timms(root: Path, size: int, workers: int, batch: int, *, prefetcher: bool) -> Any:
    """Return timm's loader with its plainest training transform: crop and flip, no jitter."""
    return create_loader(
        create_dataset("", root=str(root)),
        input_size=(3, size, size), batch_size=batch, is_training=True, use_prefetcher=prefetcher,
        scale=(0.35, 1.0), hflip=0.5, color_jitter=None, interpolation="bilinear", num_workers=workers,
        persistent_workers=workers > 0, device=torch.device("cpu"),
    )  # fmt: skip


def images_of(batch: Any) -> torch.Tensor:
    """Return the images of either loader's batch."""
    images: torch.Tensor = batch[0]
    return images


def speed(epoch: Callable[[], Iterator[Any]]) -> float:
    """Return images/s of one epoch, after the first batch: start-up is not the loader's speed."""
    stream = iter(epoch())
    next(stream)
    began, count = time.perf_counter(), 0
    for batch in stream:
        count += len(images_of(batch))
    return count / (time.perf_counter() - began)


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=Path, help="a folder of JPEG files, with one folder for each class")
    parser.add_argument(
        "--count", type=int, default=3000, help="demo pictures to draw where no folder is given"
    )
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = options.images or Path(scratch)
        if options.images is None:
            draw(root, options.count, 256)
        files = sorted(root.rglob("*.jpg"))
        kilobytes = np.mean([path.stat().st_size for path in files]) / 1e3
        print(f"{len(files):,} JPEG files of {kilobytes:.0f} kB, batch {options.batch}, "
              f"{options.workers} workers, crop to {options.size}")  # fmt: skip
        loaders = {
            "ours, uint8": ours(root, files, options.size, options.workers, options.batch),
            "timm, prefetcher": timms(root, options.size, options.workers, options.batch, prefetcher=True),
            "timm, plain": timms(root, options.size, options.workers, options.batch, prefetcher=False),
        }
        speeds: dict[str, list[float]] = {name: [] for name in loaders}
        for _ in range(options.rounds):
            for name, loader in loaders.items():
                speeds[name].append(speed(loader.__iter__))
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    best = max(speed for name, speed in medians.items() if name.startswith("timm"))
    print("\n| loader | images/s | against timm's faster |\n|---|---:|---:|")
    for name, value in medians.items():
        print(f"| {name} | {value:,.0f} | {value / best:.2f} |")


if __name__ == "__main__":
    main()
