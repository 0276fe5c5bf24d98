"""Answers about a whole data set, each by a network that had not seen the image: a k-fold split's runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from heritage.core.manifest import Manifest
from heritage.errors import DataError
from heritage.runs.finished import read_run, run_folders

Floats = npt.NDArray[np.float64]

_REMEDY = "name the folder of a sweep with data/split=kfold on this data set"


def out_of_fold(folders: Sequence[str], manifest: Manifest) -> tuple[Manifest, Floats]:
    """Put the test answers of the runs of a k-fold split together.

    Args:
        folders: Run folders, or folders with such below them.
        manifest: The data set's images.

    Returns:
        The images that have an answer, N rows, and what was said of each, (N, K).

    Raises:
        CheckpointError: There is no such folder, or no finished run in one.
        DataError: The runs know other classes or images, or two of them were tested on the same image.
    """
    places = {name: row for row, name in enumerate(manifest.table["image_id"].to_pylist())}
    rows: list[int] = []
    shares: list[Floats] = []
    for folder in run_folders(folders):
        run = read_run(folder)
        if run.classes != manifest.classes:
            raise DataError(
                f"knows {', '.join(run.classes)}, the data set {', '.join(manifest.classes)}",
                where=folder,
                remedy=_REMEDY,
            )
        unknown = [name for name in run.images if name not in places]
        if unknown:
            raise DataError(
                f"was tested on {len(unknown):,} images that the data set does not have, as {unknown[0]}",
                where=folder,
                remedy=_REMEDY,
            )
        rows += [places[name] for name in run.images]
        shares.append(run.probabilities)
        if len(set(rows)) < len(rows):
            raise DataError(
                "was tested on images that another run was tested on", where=folder, remedy=_REMEDY
            )
    order = np.argsort(rows)
    return manifest.take(np.asarray(rows, dtype=np.int64)[order]), np.concatenate(shares)[order]
