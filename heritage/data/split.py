"""Who trains, who chooses, who is asked at the end: splits that keep groups whole and classes in proportion.

Every splitter is called as ``splitter(manifest)`` and returns the manifest with its `split` column set.
The order in which groups are dealt comes from a hash of the seed and the group's name, so a split does
not depend on the order of the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from heritage.core.group_split import assign_groups, split_fractions
from heritage.core.manifest import SPLITS, Manifest
from heritage.core.taxonomy import nearest
from heritage.core.types import Fraction, NonNegativeInt
from heritage.errors import SplitError

Folds = Annotated[int, Field(ge=2, strict=True)]
Codes = npt.NDArray[np.int64]

_TRAIN, _VAL, _TEST = range(3)
# A group with more than this part of a class is dealt early, while there is room for it somewhere.
_LARGE = 0.02


def by_group(manifest: Manifest, *, test: Fraction, val: Fraction, seed: NonNegativeInt) -> Manifest:
    """Split so that no group is torn apart, in proportion by class.

    Args:
        manifest: The images; `group_id` says what belongs together.
        test: The part of all images to test on.
        val: The part of the remaining images to validate on.
        seed: Another seed deals the groups otherwise.

    Raises:
        SplitError: A class has too few groups to be in every part.
    """
    return _three_ways(manifest, manifest.column("group_id"), test, val, seed, "groups")


def by_image(manifest: Manifest, *, test: Fraction, val: Fraction, seed: NonNegativeInt) -> Manifest:
    """Split image by image, in proportion by class: the thesis's way.

    Views of one object land on both sides, so what it measures is too good. Arguments as `by_group`.
    """
    return _three_ways(manifest, manifest.column("image_id"), test, val, seed, "images")


def given(manifest: Manifest) -> Manifest:
    """Keep the split that the manifest's own `split` column gives.

    Raises:
        SplitError: There is no such column, or it holds something else than train, val and test.
    """
    values = set(manifest.column("split"))
    if values == {None}:
        raise SplitError(
            "the manifest has no split column", where=manifest.root, remedy="use data/split=group"
        )
    if strange := sorted(str(value) for value in values - set(SPLITS)):
        raise SplitError(
            f"unknown split {', '.join(map(repr, strange))}",
            where=manifest.root,
            remedy=f"use {', '.join(SPLITS)}",
        )
    return _checked(manifest, "images")


def whole(manifest: Manifest) -> Manifest:
    """Put every image into the test split: to ask a trained network about a set it never saw.

    Classes without an image are allowed.
    """
    return _assigned(manifest, np.full(len(manifest), _TEST, dtype=np.int64))


def by_column(
    manifest: Manifest, *, column: str, test: Sequence[str | int], val: Fraction, seed: NonNegativeInt
) -> Manifest:
    """Test on the images whose ``column`` has one of the values ``test``; train on all others.

    Groups that reach across the border are left out of training, so that nothing leaks.

    Args:
        manifest: The images.
        column: Any column of the manifest: museum, period, culture …
        test: The values to test on.
        val: The part of the remaining images to validate on, taken by group.
        seed: Another seed deals the groups otherwise.

    Raises:
        SplitError: No such column or value, or a part stays empty.
    """
    if column not in manifest.table.column_names:
        near = nearest(column, manifest.table.column_names)
        hint = f"did you mean '{near}'?" if near else f"choose from {', '.join(manifest.table.column_names)}"
        raise SplitError(f"the manifest has no column '{column}'", where="data.split.column", remedy=hint)
    values = np.array([str(value) for value in manifest.column(column)])
    wanted = [str(value) for value in test]
    if unknown := sorted(set(wanted) - set(values)):
        some = ", ".join(sorted(set(values))[:8])
        raise SplitError(
            f"no image has {column} '{unknown[0]}'", where="data.split.test", remedy=f"it has {some}"
        )
    tested = np.isin(values, wanted)
    groups = np.array(manifest.column("group_id"))
    torn = ~tested & np.isin(groups, groups[tested])
    rest = np.flatnonzero(~tested & ~torn)
    parts = np.full(len(manifest), _TEST, dtype=np.int64)
    if len(rest):
        dealt = _deal(manifest.targets[rest], groups[rest].tolist(), (1 - val, val), seed)
        parts[rest] = np.where(dealt == 1, _VAL, _TRAIN)
    kept = np.flatnonzero(~torn)
    return _checked(_assigned(manifest.take(kept), parts[kept]), "groups", tested_classes=False)


def by_fold(
    manifest: Manifest, *, folds: Folds, fold: NonNegativeInt, val: Fraction, seed: NonNegativeInt
) -> Manifest:
    """Split for k-fold cross-validation by group: fold number ``fold`` is the test split.

    Args:
        manifest: The images.
        folds: How many folds, at least 2.
        fold: Which of them to test on, counted from 0.
        val: The part of the other folds to validate on, taken by group.
        seed: Another seed deals the groups otherwise.

    Raises:
        SplitError: There is no such fold, or a class has too few groups.
    """
    if fold >= folds:
        raise SplitError(
            f"fold {fold} of {folds}", where="data.split.fold", remedy=f"choose from 0 to {folds - 1}"
        )
    groups = manifest.column("group_id")
    dealt = _deal(manifest.targets, groups, (1 / folds,) * folds, seed)
    rest = np.flatnonzero(dealt != fold)
    parts = np.full(len(manifest), _TEST, dtype=np.int64)
    inner = _deal(manifest.targets[rest], [groups[row] for row in rest], (1 - val, val), seed)
    parts[rest] = np.where(inner == 1, _VAL, _TRAIN)
    return _checked(_assigned(manifest, parts), "groups")


def _deal(targets: Codes, groups: Sequence[str], shares: Sequence[float], seed: int) -> Codes:
    codes = np.unique(np.array(groups, dtype=object).astype(str), return_inverse=True)[1]
    return assign_groups(targets, codes, groups, shares, seed, large=_LARGE)


def _three_ways(
    manifest: Manifest, groups: list[str], test: float, val: float, seed: int, unit: str
) -> Manifest:
    dealt = _deal(manifest.targets, groups, split_fractions(test, val), seed)
    return _checked(_assigned(manifest, dealt), unit)


def _assigned(manifest: Manifest, parts: Codes) -> Manifest:
    return manifest.with_column("split", np.array(SPLITS, dtype=object)[parts])


def _checked(manifest: Manifest, unit: str, *, tested_classes: bool = True) -> Manifest:
    """Refuse a split with an empty part or class."""
    _refuse_few_classes(manifest)
    parts = pa.compute.index_in(manifest.table["split"].combine_chunks(), pa.array(SPLITS)).to_numpy()
    counts = np.zeros((len(SPLITS), len(manifest.classes)), dtype=np.int64)
    np.add.at(counts, (parts, manifest.targets), 1)
    for part, split in enumerate(SPLITS):
        empty = [name for name, count in zip(manifest.classes, counts[part], strict=True) if not count]
        # A museum or period on its own need not have every class.
        if len(empty) == len(manifest.classes) or (empty and (split != "test" or tested_classes)):
            raise SplitError(
                f"no image of {', '.join(empty)} in the {split} split",
                where=manifest.root,
                remedy=f"a class needs at least three {unit}: add some, or shorten data.classes",
            )
    return manifest


def _refuse_few_classes(manifest: Manifest) -> None:
    counts = manifest.counts()
    if empty := [name for name, count in counts.items() if not count]:
        raise SplitError(
            f"no image of {', '.join(empty)}",
            where=manifest.root,
            remedy="add images, or leave the class out of data.classes",
        )
    if len(counts) < 2:
        raise SplitError(
            f"only one class ({next(iter(counts))})", where=manifest.root, remedy="there must be at least two"
        )
