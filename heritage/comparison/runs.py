"""Find the runs to compare, and pool the runs of a k-fold split into one.

In a pooled run every image is predicted by the network that was not trained on its group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from heritage.core.numbers import counted
from heritage.errors import DataError
from heritage.runs.description import RunDescription
from heritage.runs.read_predictions import FinishedRun, read_run, run_folders


def pool_folds(runs: Sequence[FinishedRun]) -> list[FinishedRun]:
    """Pool the runs of each complete cross-validation; other runs are returned unchanged.

    Runs of all folds with equal settings and seed become one run with all their predictions. Runs of one
    single fold are not pooled: they have one test set already.

    Raises:
        DataError: A fold is missing or duplicated.
    """
    if len({run.fold for run in runs}) == 1:
        return list(runs)
    by_setting: dict[tuple[RunDescription, int, int], list[FinishedRun]] = {}
    result: list[FinishedRun] = []
    for run in runs:
        if run.fold is None:
            result.append(run)
        else:
            by_setting.setdefault((run.description, run.fold.folds, run.fold.seed), []).append(run)
    for (description, folds, _), members in by_setting.items():
        numbers = [run.fold.number for run in members if run.fold is not None]
        if sorted(numbers) != list(range(folds)):
            present = ", ".join(map(str, sorted(numbers)))
            raise DataError(
                f"of {folds} folds of {description.name}, seed {description.seed}, there are {present}",
                where=members[0].folder.parent,
                remedy=f"give one run for each fold from 0 to {folds - 1}, or only runs of one fold",
            )
        result.append(_joined(members))
    return result


def _joined(members: Sequence[FinishedRun]) -> FinishedRun:
    first = members[0]
    for run in members[1:]:
        _require_same_classes(run, first)
    images = [name for run in members for name in run.images]
    if len(set(images)) < len(images):
        raise DataError(
            "was tested on images of another fold, too",
            where=members[-1].folder,
            remedy="train all folds on the same version of the data set",
        )
    order = np.argsort(np.array(images, dtype=object).astype(str), kind="stable")
    groups = [name for run in members for name in run.groups]
    seen = [run.images_seen for run in members if run.images_seen is not None]
    return replace(
        first,
        folder=first.folder.parent,
        images=tuple(images[row] for row in order),
        groups=tuple(groups[row] for row in order),
        targets=np.concatenate([run.targets for run in members])[order],
        probabilities=np.concatenate([run.probabilities for run in members])[order],
        images_seen=round(sum(seen) / len(seen)) if len(seen) == len(members) else None,
        folds=len(members),
        drawn=sum(run.drawn for run in members),
    )


def find_runs(folders: Sequence[str]) -> list[FinishedRun]:
    """Read runs, and pool those of a k-fold split.

    Args:
        folders: Run folders, folders of evaluations, or folders that contain some (a sweep).

    Raises:
        CheckpointError: A folder does not exist or contains no finished run.
        DataError: The runs have different test sets, or a fold is missing.
    """
    runs = pool_folds(_with_common_names([read_run(folder) for folder in run_folders(folders)]))
    _require_one_test_set(runs)
    return runs


def _with_common_names(runs: Sequence[FinishedRun]) -> list[FinishedRun]:
    """Give runs of one configuration one description: overrides may spell out defaults."""
    shortest: dict[str, RunDescription] = {}
    for run in sorted(runs, key=lambda run: len(run.description.name)):
        if run.settings is not None:
            shortest.setdefault(run.settings, run.description)
    return [
        run
        if run.settings is None
        else replace(run, description=replace(shortest[run.settings], seed=run.description.seed))
        for run in runs
    ]


def _require_one_test_set(runs: Sequence[FinishedRun]) -> None:
    first = runs[0]
    for run in runs[1:]:
        _require_same_classes(run, first)
        if run.images != first.images or (run.targets != first.targets).any():
            shared = len(set(run.images) & set(first.images))
            raise DataError(
                f"has another test set ({counted(len(run.images), 'image')}) than {first.folder} "
                f"({len(first.images):,}); they share {shared:,}",
                where=run.folder,
                remedy="run `heritage evaluate` for both on one test set, and compare the folders it writes",
            )


def _require_same_classes(run: FinishedRun, first: FinishedRun) -> None:
    if run.classes != first.classes:
        raise DataError(
            f"has the classes {', '.join(run.classes)}, but {first.folder} has {', '.join(first.classes)}",
            where=run.folder,
            remedy="compare runs with one class list",
        )
