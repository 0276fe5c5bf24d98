"""Measure the start: of the command line, and of a training run until its first batch is planned.

    python -m benchmarks.start                      the thesis's 223,486 images
    python -m benchmarks.start --images 0           the command line alone

For a run a Parquet manifest is written, read and split, and the training loader is built with an
oversampled epoch: everything before the first step except imports and decoding. No image is needed.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from hydra import compose, initialize_config_dir

from heritage.config.register import register
from heritage.core.files import config_dir
from heritage.core.manifest import Manifest
from heritage.core.taxonomy import CLASSES
from heritage.training.build import build_data

COUNTS = (44_075, 51_696, 67_983, 18_417, 8_130, 33_185)
"""Images of each class in the thesis."""


STARTS = {
    "import heritage": (["-c", "import heritage"], 0.1),
    "heritage": (["-m", "heritage"], 0.3),
    "heritage train --help": (["-m", "heritage", "train", "--help"], 0.6),
    "heritage train modle=vit": (["-m", "heritage", "train", "modle=vit"], 1.5),
    "heritage train data.batch_size=0": (["-m", "heritage", "train", "data.batch_size=0"], 1.5),
}
"""Python's arguments, and the most seconds that each start should take."""


def measure_starts(rounds: int) -> None:
    """Print the median wall-clock and processor time of each start of the command line."""
    print(f"{'':<34}{'wall':>8}{'CPU':>8}{'limit':>8}")
    for name, (words, limit) in STARTS.items():
        wall, cpu = [], []
        for _ in range(rounds + 1):
            used, began = _children_seconds(), time.perf_counter()
            subprocess.run([sys.executable, *words], capture_output=True, check=False)  # noqa: S603  fixed words
            wall.append(time.perf_counter() - began)
            cpu.append(_children_seconds() - used)
        # The first round may read files that are not in the cache.
        medians = f"{statistics.median(wall[1:]):>6.2f} s{statistics.median(cpu[1:]):>6.2f} s"
        print(f"{name:<34}{medians}{limit:>6.1f} s")


def _children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def write_manifest(root: Path, images: int) -> None:
    """Write a manifest in the thesis's proportions, with two views of each object."""
    shares = np.array(COUNTS) / sum(COUNTS)
    classes = np.repeat(CLASSES, np.ceil(shares * images).astype(int))[:images]
    names = [f"{CLASSES.index(name) + 1}_MET_{number}" for number, name in enumerate(classes)]
    objects = [f"{number // 2}" for number in range(images)]
    table = {
        "image_id": names,
        "file": [f"images/{name}.jpg" for name in names],
        "class": classes.tolist(),
        "museum": ["MET"] * images,
        "object_id": objects,
        "group_id": objects,
    }
    Manifest.build(table, root, CLASSES).write(root)


def main() -> None:
    """Run the benchmark and print its results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=sum(COUNTS), help="0 leaves the data set out")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    measure_starts(options.rounds)
    if options.images:
        measure_data(options.images, options.rounds)


def measure_data(images: int, rounds: int) -> None:
    """Print the median time from a manifest on disk to the first planned batch."""
    register()
    with tempfile.TemporaryDirectory() as folder:
        write_manifest(Path(folder), images)
        with initialize_config_dir(str(config_dir()), version_base="1.3"):
            words = ["data=folder", f"data.root={folder}", "data/split=group", "balance=oversample",
                     "data.image_size=224", "paths.run=/unused"]  # fmt: skip
            cfg = compose("train", overrides=words)
        times, shown = [], 0
        for _ in range(rounds):
            began = time.perf_counter()
            loader = build_data(cfg).train_dataloader()
            shown = len(loader.plan.sample(0).rows)
            next(iter(loader.plan))
            times.append(time.perf_counter() - began)
    print(f"{images:,} rows, {shown:,} images shown an epoch: {statistics.median(times):.2f} s")


if __name__ == "__main__":
    main()
