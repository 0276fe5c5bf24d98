"""How long a data set of the thesis's size takes until its first training batch can be planned.

    python -m benchmarks.start                      223,486 rows

A Parquet manifest is written, then read and dealt into splits, and the training loader is built with an
oversampled epoch: what a run does before its first step, imports and decoding aside. No image is needed.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from functools import partial
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


def write_manifest(root: Path, images: int) -> None:
    """Write a manifest of so many images, in the thesis's proportions, with two views of each object."""
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
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=sum(COUNTS))
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    register()
    with tempfile.TemporaryDirectory() as folder:
        write_manifest(Path(folder), options.images)
        with initialize_config_dir(str(config_dir()), version_base="1.3"):
            words = ["data=folder", f"data.root={folder}", "data/split=group", "balance=oversample",
                     "data.image_size=224", "paths.run=/unused"]  # fmt: skip
            cfg = compose("train", overrides=words)
        ready = partial(build_data, cfg)
        times, shown = [], 0
        for _ in range(options.rounds):
            began = time.perf_counter()
            loader = ready().train_dataloader()
            shown = len(loader.plan.draw(0).rows)
            next(iter(loader.plan))
            times.append(time.perf_counter() - began)
    print(f"{options.images:,} rows, {shown:,} images shown an epoch: {statistics.median(times):.2f} s")


if __name__ == "__main__":
    main()
