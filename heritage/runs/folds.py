"""Runs of a k-fold split, put together: every image answered by the network that never saw its group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from heritage.errors import DataError

if TYPE_CHECKING:
    from heritage.runs.description import Recipe
    from heritage.runs.finished import Run


@dataclass(frozen=True, slots=True)
class Fold:
    """Which part of a cross-validation a run was tested on.

    Attributes:
        number: Counted from 0.
        folds: How many there are.
        seed: Of the split: another one deals the groups otherwise.
    """

    number: int
    folds: int
    seed: int


def read_fold(config: Mapping[str, Any]) -> Fold | None:
    """Return the fold that a run's configuration names; None where it was split otherwise."""
    data = config.get("data")
    split = data.get("split") if isinstance(data, Mapping) else None
    if not isinstance(split, Mapping) or not str(split.get("_target_")).endswith(".by_fold"):
        return None
    return Fold(int(split["fold"]), int(split["folds"]), int(split["seed"]))


def pooled(runs: Sequence[Run]) -> list[Run]:
    """Return a run for each whole cross-validation among these, and all others as they are.

    Folds of one recipe and seed become one run with all their answers. Where all runs are of one and the
    same fold they are left alone: their test sets are one already.

    Raises:
        DataError: A fold is missing, or there twice.
    """
    if len({run.fold for run in runs}) == 1:
        return list(runs)
    parts: dict[tuple[Recipe, int, int], list[Run]] = {}
    found: list[Run] = []
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


def _joined(members: Sequence[Run]) -> Run:
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
