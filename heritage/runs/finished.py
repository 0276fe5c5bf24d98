"""Finished runs, read back from their folders to be compared."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped]

from heritage.errors import CheckpointError
from heritage.metrics.classification import confusion_matrix
from heritage.runs.compat import upgrade_config
from heritage.runs.description import Fold, RunDescription, read_description, read_fold, settings_digest
from heritage.runs.files import CONFIG_FILE, HYDRA_FOLDER, IMAGES_SEEN, METRICS_FILE, PREDICTIONS_FILE


@dataclass(frozen=True)
class FinishedRun:
    """A run's answers on its test set; images in the order of their ids.

    Attributes:
        folder: The run folder, or the folder of an evaluation.
        recipe: How the network was made.
        classes: The class list, K.
        images: Ids of the images, length N.
        groups: Their groups, length N.
        targets: Shape (N,).
        probabilities: Shape (N, K).
        images_seen: Images that its training showed, again and again ones too; None where nothing says it.
        fold: The fold of a cross-validation that it was tested on; None where it was split otherwise.
        folds: From how many networks its answers are, each of another fold.
        settings: A digest of its configuration but for the seed; None where nothing says it.
    """

    folder: Path
    recipe: RunDescription
    classes: tuple[str, ...]
    images: tuple[str, ...]
    groups: tuple[str, ...]
    targets: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float64]
    images_seen: int | None = None
    fold: Fold | None = None
    folds: int = 1
    settings: str | None = None

    @property
    def predicted(self) -> npt.NDArray[np.int64]:
        """The likeliest class, (N,)."""
        found: npt.NDArray[np.int64] = self.probabilities.argmax(axis=1)
        return found

    @property
    def correct(self) -> npt.NDArray[np.bool_]:
        """Whether each answer is right, (N,)."""
        found: npt.NDArray[np.bool_] = self.predicted == self.targets
        return found

    @property
    def confusion(self) -> npt.NDArray[np.int64]:
        """Targets (rows) by predictions (columns), (K, K)."""
        return confusion_matrix(self.targets, self.predicted, len(self.classes))


def unfinished(folders: Sequence[str]) -> list[Path]:
    """Return the run folders below these that have no report yet; `find_runs` leaves them out."""
    found = {path.parent for name in folders for path in Path(name).expanduser().rglob(CONFIG_FILE)}
    return sorted(one for one in found if one.name != HYDRA_FOLDER and not (one / METRICS_FILE).is_file())


def run_folders(folders: Sequence[str]) -> list[Path]:
    """Return the folders of runs among these and below them, each once.

    Raises:
        CheckpointError: There is no such folder, or no finished run in one.
    """
    found: dict[Path, None] = {}
    for name in folders:
        folder = Path(name).expanduser()
        if not folder.is_dir():
            raise CheckpointError("no such folder", where=folder, remedy="give run folders in runs=[…]")
        if (folder / METRICS_FILE).is_file() or (folder / CONFIG_FILE).is_file():
            found[folder] = None
            continue
        inside = sorted(path.parent for path in folder.rglob(METRICS_FILE))
        if not inside:
            raise CheckpointError(
                "no run with a report in it", where=folder, remedy="a run writes it when it has ended"
            )
        found |= dict.fromkeys(inside)
    if not found:
        raise CheckpointError("no run is named", where="runs", remedy="give run folders in runs=[…]")
    return list(found)


def read_run(folder: Path) -> FinishedRun:
    """Read one run.

    Raises:
        CheckpointError: It has no report, or one that is damaged.
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
        metrics = json.loads(path.read_text(encoding="utf-8"))
        classes = tuple(metrics["classes"])
        path = folder / PREDICTIONS_FILE
        table = pq.read_table(path).sort_by("image_id")
        shares = np.column_stack([table[f"p_{name}"].to_numpy() for name in classes])
        place = {name: k for k, name in enumerate(classes)}
        targets = np.array([place[name] for name in table["class"].to_pylist()], dtype=np.int64)
        images = tuple(table["image_id"].to_pylist())
        groups = table["group_id"] if "group_id" in table.column_names else table["image_id"]
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"unreadable ({' '.join(str(error).split())[:120]})",
            where=path,
            remedy="make it again with `heritage evaluate`",
        ) from error
    names = tuple(map(str, groups.to_pylist()))
    recipe, fold, settings = _recipe(folder, metrics)
    return FinishedRun(
        folder,
        recipe,
        classes,
        images,
        names,
        targets,
        shares,
        _images_seen(metrics),
        fold,
        settings=settings,
    )


def images_seen(folder: Path | None) -> int | None:
    """Return how many images a run's training showed; None where its folder does not say it."""
    try:
        return (
            None if folder is None else _images_seen(json.loads((folder / METRICS_FILE).read_text("utf-8")))
        )
    except (OSError, ValueError):
        return None


def _images_seen(metrics: Any) -> int | None:
    found = metrics.get(IMAGES_SEEN) if isinstance(metrics, dict) else None
    return found if isinstance(found, int) else None


def _recipe(folder: Path, metrics: dict[str, Any]) -> tuple[RunDescription, Fold | None, str | None]:
    if "recipe" in metrics:  # an evaluation says how its network was made
        try:
            said, fold = dict(metrics["recipe"]), metrics.get("fold")
            recipe = RunDescription(**said | {"others": tuple(said.get("others", ()))})
            return recipe, None if fold is None else Fold(**fold), None
        except (TypeError, ValueError) as error:
            raise CheckpointError(
                f"unreadable recipe ({error})",
                where=folder / METRICS_FILE,
                remedy="make it again with `heritage evaluate`",
            ) from error
    try:
        config = cast(
            "dict[str, Any]", upgrade_config(OmegaConf.to_container(OmegaConf.load(folder / CONFIG_FILE)))
        )
        return read_description(folder, config), read_fold(config), settings_digest(config)
    except (OSError, YAMLError, OmegaConfBaseException, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"unreadable configuration ({type(error).__name__}: {error})",
            where=folder / CONFIG_FILE,
            remedy="restore the file",
        ) from error


def split_of(folder: Path) -> str:
    """Return by which of `heritage.data.split` a run was split; ``unknown`` if it does not say."""
    try:
        config = OmegaConf.load(folder / CONFIG_FILE)
        return str(OmegaConf.select(config, "data.split._target_")).rpartition(".")[2]
    except (OSError, YAMLError, OmegaConfBaseException):
        return "unknown"
