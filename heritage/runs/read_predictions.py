"""Read the test predictions of runs and evaluations, with what their configurations differ in.

`FinishedRun` is what runs are compared by. Whether a run is finished is decided in `heritage.runs.job_state`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from heritage.core.museums import count_drawn
from heritage.core.numbers import counted
from heritage.core.parquet_files import read_parquet
from heritage.errors import CheckpointError
from heritage.metrics.confusion import ConfusionMatrix
from heritage.runs.description import (
    Fold,
    RunDescription,
    other_choices,
    read_description,
    read_fold,
    settings_digest,
    split_name,
)
from heritage.runs.files import CONFIG_FILE, HYDRA_FOLDER, IMAGES_SEEN, METRICS_FILE, PREDICTIONS_FILE
from heritage.runs.record import read_config, read_json


@dataclass(frozen=True)
class FinishedRun:
    """The predictions of a run on its test set; images in the order of their ids.

    Attributes:
        folder: The run folder, or the folder of an evaluation.
        description: The choices that the network was trained with.
        classes: The class list, K.
        images: Ids of the images, length N.
        groups: Their groups, length N.
        targets: Shape (N,).
        probabilities: Shape (N, K).
        images_seen: Training images over all epochs, with repetition; None if unknown.
        fold: The fold of a cross-validation that it was tested on, if any.
        folds: Number of folds that were pooled, each predicted by another network.
        settings: A digest of the configuration without its seed; None if unknown.
        drawn: How many of the images are drawings of the demo set, not photographs.
    """

    folder: Path
    description: RunDescription
    classes: tuple[str, ...]
    images: tuple[str, ...]
    groups: tuple[str, ...]
    targets: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float64]
    images_seen: int | None = None
    fold: Fold | None = None
    folds: int = 1
    settings: str | None = None
    drawn: int = 0

    @property
    def predicted(self) -> npt.NDArray[np.int64]:
        """The predicted class of each image, (N,)."""
        predicted: npt.NDArray[np.int64] = self.probabilities.argmax(axis=1)
        return predicted

    @property
    def correct(self) -> npt.NDArray[np.bool_]:
        """Whether each prediction is correct, (N,)."""
        correct: npt.NDArray[np.bool_] = self.predicted == self.targets
        return correct

    @property
    def confusion(self) -> ConfusionMatrix:
        """The confusion matrix."""
        return ConfusionMatrix.of(self.targets, self.predicted, self.classes)

    def __repr__(self) -> str:
        images = counted(len(self.images), "image")
        return f"FinishedRun({self.description.name!r}, folder='{self.folder}', {images})"


def unfinished(folders: Sequence[str]) -> list[Path]:
    """Return the run folders below these that have no report yet; `run_folders` leaves them out."""
    started = {path.parent for name in folders for path in Path(name).expanduser().rglob(CONFIG_FILE)}
    return sorted(one for one in started if one.name != HYDRA_FOLDER and not (one / METRICS_FILE).is_file())


def run_folders(folders: Sequence[str]) -> list[Path]:
    """Return the folders of runs among these and below them, each once.

    Raises:
        CheckpointError: A folder does not exist or contains no finished run.
    """
    result: dict[Path, None] = {}
    for name in folders:
        folder = Path(name).expanduser()
        if not folder.is_dir():
            raise CheckpointError("no such folder", where=folder, remedy="give run folders in runs=[…]")
        if (folder / METRICS_FILE).is_file() or (folder / CONFIG_FILE).is_file():
            result[folder] = None
            continue
        inside = sorted(path.parent for path in folder.rglob(METRICS_FILE))
        if not inside:
            raise CheckpointError(
                "no run with a report in it",
                where=folder,
                remedy="wait until a run is finished, or give another folder",
            )
        result |= dict.fromkeys(inside)
    if not result:
        raise CheckpointError("no run is given", where="runs", remedy="give run folders in runs=[…]")
    return list(result)


def read_run(folder: Path) -> FinishedRun:
    """Read one run.

    Raises:
        CheckpointError: The folder has no report, or a damaged one.
    """
    if not folder.is_dir():
        raise CheckpointError("no such folder", where=folder, remedy="give a run folder")
    for name in (METRICS_FILE, PREDICTIONS_FILE):
        if not (folder / name).is_file():
            raise CheckpointError(
                f"a run without a report (no {name})", where=folder, remedy="finish it with resume=<folder>"
            )
    path = folder / METRICS_FILE
    try:
        metrics = read_json(folder, METRICS_FILE)
        classes = tuple(metrics["classes"])
        path = folder / PREDICTIONS_FILE
        table = read_parquet(path).sort_by("image_id")
        probabilities = np.column_stack(
            [table[f"p_{name}"].cast(pa.float64()).to_numpy() for name in classes]
        )
        index = {name: k for k, name in enumerate(classes)}
        targets = np.array([index[name] for name in table["class"].to_pylist()], dtype=np.int64)
        images = tuple(table["image_id"].cast(pa.string()).to_pylist())
        groups = table["group_id"] if "group_id" in table.column_names else table["image_id"]
    except (pa.ArrowException, OSError, ValueError, LookupError, TypeError) as error:
        raise CheckpointError(
            f"unreadable ({' '.join(str(error).split())[:120]})",
            where=path,
            remedy="write it again with `heritage evaluate`",
        ) from error
    if not np.isfinite(probabilities).all():
        raise CheckpointError(
            "its probabilities are not finite", where=path, remedy="write it again with `heritage evaluate`"
        )
    names = tuple(map(str, groups.to_pylist()))
    description, fold, settings = _describe(folder, metrics)
    return FinishedRun(
        folder,
        description,
        classes,
        images,
        names,
        targets,
        probabilities,
        _images_seen(metrics),
        fold,
        settings=settings,
        drawn=count_drawn(table),
    )


def images_seen(folder: Path | None) -> int | None:
    """Return the number of training images that a run recorded; None if it is unknown."""
    try:
        return None if folder is None else _images_seen(read_json(folder, METRICS_FILE))
    except CheckpointError:
        return None


def _images_seen(metrics: Any) -> int | None:
    value = metrics.get(IMAGES_SEEN) if isinstance(metrics, dict) else None
    return value if isinstance(value, int) else None


def _describe(folder: Path, metrics: dict[str, Any]) -> tuple[RunDescription, Fold | None, str | None]:
    """Return description, fold and digest of the settings."""
    if "recipe" in metrics:  # an evaluation: its folder has no configuration of a training
        try:
            recorded, fold = dict(metrics["recipe"]), metrics.get("fold")
            description = RunDescription(**recorded | {"others": other_choices(recorded.get("others", ()))})
            return description, None if fold is None else Fold(**fold), None
        except (TypeError, ValueError) as error:
            raise CheckpointError(
                f"unreadable recipe ({error})",
                where=folder / METRICS_FILE,
                remedy="write it again with `heritage evaluate`",
            ) from error
    config = read_config(folder)
    try:
        return read_description(folder, config), read_fold(config), settings_digest(config)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"unreadable configuration ({type(error).__name__}: {error})",
            where=folder / CONFIG_FILE,
            remedy="restore the file",
        ) from error


def split_of(folder: Path) -> str:
    """Return the function of `heritage.data.split` that a run was split by; ``unknown`` if not recorded."""
    try:
        return split_name(read_config(folder))
    except CheckpointError:
        return "unknown"
