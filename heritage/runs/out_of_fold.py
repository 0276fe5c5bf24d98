"""Out-of-fold predictions: those of a k-fold split's runs, each for the images of its own test fold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from heritage.core.manifest import Manifest
from heritage.core.numbers import counted
from heritage.errors import DataError
from heritage.runs.read_predictions import read_run, run_folders

Floats = npt.NDArray[np.float64]

_REMEDY = "give the folder of a sweep with data/split=kfold on this data set"


def out_of_fold(folders: Sequence[str], manifest: Manifest) -> tuple[Manifest, Floats]:
    """Concatenate the test predictions of the runs of a k-fold split.

    Args:
        folders: Run folders, or folders that contain some.
        manifest: The images of the data set.

    Returns:
        The images with a prediction, N rows, and their probabilities, (N, K).

    Raises:
        CheckpointError: A folder does not exist or contains no finished run.
        DataError: The runs have other classes or images, or two of them were tested on the same image.
    """
    row_of = {name: row for row, name in enumerate(manifest.table["image_id"].to_pylist())}
    rows: list[int] = []
    probabilities: list[Floats] = []
    for folder in run_folders(folders):
        run = read_run(folder)
        if run.classes != manifest.classes:
            raise DataError(
                f"has the classes {', '.join(run.classes)}, but the data set {', '.join(manifest.classes)}",
                where=folder,
                remedy=_REMEDY,
            )
        unknown = [name for name in run.images if name not in row_of]
        if unknown:
            raise DataError(
                f"was tested on {counted(len(unknown), 'image')} that the data set does not have, such as "
                f"{unknown[0]}",
                where=folder,
                remedy=_REMEDY,
            )
        rows += [row_of[name] for name in run.images]
        probabilities.append(run.probabilities)
        if len(set(rows)) < len(rows):
            raise DataError(
                "was tested on images that another run was tested on", where=folder, remedy=_REMEDY
            )
    order = np.argsort(rows)
    return manifest.take(np.asarray(rows, dtype=np.int64)[order]), np.concatenate(probabilities)[order]
