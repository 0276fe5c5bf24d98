"""Find the runs to compare; the runs of a k-fold split become one.

Every image is then predicted by the network that never saw its group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from heritage.errors import DataError
from heritage.runs.description import RunDescription
from heritage.runs.finished import FinishedRun, read_run, run_folders


def pooled(runs: Sequence[FinishedRun]) -> list[FinishedRun]:
    """Return a run for each whole cross-validation among these, and all others as they are.

    Folds of one recipe and seed become one run with all their answers. Where all runs are of one and the
    same fold they are left alone: their test sets are one already.

    Raises:
        DataError: A fold is missing, or there twice.
    """
    if len({run.fold for run in runs}) == 1:
        return list(runs)
    parts: dict[tuple[RunDescription, int, int], list[FinishedRun]] = {}
    found: list[FinishedRun] = []
    for run in runs:
        if run.fold is None:
            found.append(run)
        else:
            parts.setdefault((run.recipe, run.fold.folds, run.fold.seed), []).append(run)
    for (recipe, folds, _), members in parts.items():
        numbers = [run.fold.number for run in members if run.fold is not None]
        if sorted(numbers) != list(range(folds)):
            have = ", ".join(map(str, sorted(numbers)))
            raise DataError(
                f"of {folds} folds of {recipe.name}, seed {recipe.seed}, there are {have}",
                where=members[0].folder.parent,
                remedy=f"give runs of each fold from 0 to {folds - 1} once, or all runs of one fold",
            )
        found.append(_joined(members))
    return found


def _joined(members: Sequence[FinishedRun]) -> FinishedRun:
    first = members[0]
    for run in members[1:]:
        if run.classes != first.classes:
            raise DataError(
                f"knows {', '.join(run.classes)}, but {first.folder} knows {', '.join(first.classes)}",
                where=run.folder,
                remedy="compare runs of one class list",
            )
    images = [name for run in members for name in run.images]
    if len(set(images)) < len(images):
        raise DataError(
            "was tested on images of another fold",
            where=members[-1].folder,
            remedy="run all folds on one state of the data set",
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
    )


def find_runs(folders: Sequence[str]) -> list[FinishedRun]:
    """Read runs; those of a k-fold split are put together.

    Args:
        folders: Run folders, folders of evaluations, or folders with such below them (a multirun).

    Raises:
        CheckpointError: There is no such folder, or no finished run in one.
        DataError: The runs were tested on different sets, or a fold is missing.
    """
    runs = pooled(_named_alike([read_run(folder) for folder in run_folders(folders)]))
    _require_one_test_set(runs)
    return runs


def _named_alike(runs: Sequence[FinishedRun]) -> list[FinishedRun]:
    """Give runs of one configuration one name: a command may spell out what is the default anyway."""
    shortest: dict[str, RunDescription] = {}
    for run in sorted(runs, key=lambda run: len(run.recipe.name)):
        if run.settings is not None:
            shortest.setdefault(run.settings, run.recipe)
    return [
        run
        if run.settings is None
        else replace(run, recipe=replace(shortest[run.settings], seed=run.recipe.seed))
        for run in runs
    ]


def _require_one_test_set(runs: Sequence[FinishedRun]) -> None:
    first = runs[0]
    for run in runs[1:]:
        if run.classes != first.classes:
            raise DataError(
                f"knows {', '.join(run.classes)}, but {first.folder} knows {', '.join(first.classes)}",
                where=run.folder,
                remedy="compare runs of one class list",
            )
        if run.images != first.images or (run.targets != first.targets).any():
            shared = len(set(run.images) & set(first.images))
            raise DataError(
                f"was tested on another set ({len(run.images):,} images) than {first.folder} "
                f"({len(first.images):,}); they share {shared:,}",
                where=run.folder,
                remedy="evaluate both on one set (heritage evaluate) and compare these",
            )
