"""How much a split by image leaks: the nearest training image names the class of a test image.

    python -m benchmarks.leak --root /data/met-ceramics --seeds 10

Reads a data set that `conf/data/met_ceramics.yaml` describes (images with a table that has a column of
groups), and splits it by image and by group with the same seeds. A nearest neighbour among small colour
pictures learns nothing but likeness, so what it gains from a split by image is the leak itself, without
the noise of training; and since nothing is trained, many seeds are cheap (a minute on one core). It
prints macro-F1 under both splits, the difference, and its standard deviation over the seeds.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from heritage.core.image_io import decode
from heritage.core.manifest import Manifest
from heritage.core.taxonomy import CLASSES
from heritage.data import split
from heritage.data.readers import table
from heritage.metrics.classification import confusion_matrix, scores

Vectors = npt.NDArray[np.float32]

_SIDE = 16
_BLOCK = 1024  # test images compared at once


def small_pictures(data: Manifest) -> Vectors:
    """Return a centred, normed colour picture of each image, shape (N, 768)."""
    scores = np.empty((len(data), _SIDE * _SIDE * 3), dtype=np.float32)
    for row, file in enumerate(data.column("file")):
        pixels = decode((data.root / file).read_bytes(), name=file, at_least=_SIDE)
        scores[row] = cv2.resize(pixels, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).ravel()
    scores -= scores.mean(axis=0)
    scores /= np.maximum(np.linalg.norm(scores, axis=1, keepdims=True), 1e-6)
    return scores


def neighbour_f1(data: Manifest, vectors: Vectors) -> float:
    """Return macro-F1 on the test split of the nearest training image's class.

    Args:
        data: The images with their split.
        vectors: One of unit length for each, shape (N, D).
    """
    splits = np.array(data.column("split"))
    train, test = np.flatnonzero(splits == "train"), np.flatnonzero(splits == "test")
    nearest = np.concatenate(
        [
            train[(vectors[test[start : start + _BLOCK]] @ vectors[train].T).argmax(axis=1)]
            for start in range(0, len(test), _BLOCK)
        ]
    )
    counted = confusion_matrix(data.targets[test], data.targets[nearest], len(data.classes))
    return scores(counted).macro.f1


def main(arguments: Sequence[str] | None = None) -> None:
    """Print macro-F1 by image and by group over some seeds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, required=True, help="folder of metadata.csv and images/")
    parser.add_argument("--group", default="lot", help="the table's column of groups")
    parser.add_argument("--seeds", type=int, default=10)
    chosen = parser.parse_args(arguments)
    columns = {"file": "filename", "group_id": chosen.group}
    data = table(chosen.root, CLASSES, table="metadata.csv", images="images", columns=columns)
    vectors = small_pictures(data)
    scores = np.array(
        [
            [
                neighbour_f1(way(data, test=0.1, val=0.2, seed=seed), vectors)
                for way in (split.by_image, split.by_group)
            ]
            for seed in range(chosen.seeds)
        ]
    )
    for name, values in zip(("by image", "by group"), scores.T, strict=True):
        print(f"{name}: macro-F1 {values.mean():.3f} (standard deviation {values.std(ddof=1):.3f})")
    leak = scores[:, 0] - scores[:, 1]
    error = leak.std(ddof=1) / np.sqrt(len(leak))
    print(f"the leak: {leak.mean():+.3f} ± {error:.3f} (standard error over {len(leak)} seeds)")


if __name__ == "__main__":
    main()
