"""Train, validation and test splits, by group and stratified by class.

Every splitter is called as ``splitter(manifest)`` and returns the manifest with its `split` column set. The
order in which groups are assigned is that of a hash of the seed and their names, so that a split does not
depend on the order of the rows.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import Annotated

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from heritage.core.group_split import assign_groups, split_fractions
from heritage.core.manifest import SPLITS, Manifest
from heritage.core.taxonomy import suggestion
from heritage.core.types import Fraction, NonNegativeInt, Seed
from heritage.errors import SplitError

log = logging.getLogger(__name__)

Folds = Annotated[int, Field(ge=2, strict=True)]
Codes = npt.NDArray[np.int64]

_TRAIN, _VAL, _TEST = range(3)
# Groups with more than this fraction of a class are assigned first, while there is room for them.
_LARGE = 0.02


def by_group(manifest: Manifest, *, test: Fraction, val: Fraction, seed: Seed) -> Manifest:
    """Split by group, stratified by class: no group is in two splits.

    Args:
        manifest: The images; `group_id` names their groups.
        test: Test fraction of all images.
        val: Validation fraction of the remaining images.
        seed: Random seed of the split.

    Raises:
        SplitError: A class has too few groups for all splits.
    """
    return _three_way_split(manifest, manifest.column("group_id"), test, val, seed, "groups")


def by_image(manifest: Manifest, *, test: Fraction, val: Fraction, seed: Seed) -> Manifest:
    """Split by image, stratified by class, as the thesis does.

    Images of one object get into different splits, so the measured performance is too high. Arguments as for
    `by_group`.
    """
    return _three_way_split(manifest, manifest.column("image_id"), test, val, seed, "images")


def given(manifest: Manifest) -> Manifest:
    """Keep the split of the manifest's own `split` column.

    Raises:
        SplitError: There is no such column, or it has values other than train, val and test.
    """
    values = set(manifest.column("split"))
    if values == {None}:
        raise SplitError(
            "the manifest has no split column", where=manifest.root, remedy="use data/split=group"
        )
    if unknown := sorted(str(value) for value in values - set(SPLITS)):
        raise SplitError(
            f"unknown split {', '.join(map(repr, unknown))}",
            where=manifest.root,
            remedy=f"use {', '.join(SPLITS)}",
        )
    return _validated(manifest, None)


def own(manifest: Manifest, *, test: Fraction, val: Fraction, seed: Seed) -> Manifest:
    """Keep the source's own split, such as that of folders named train, val and test; without one, by group.

    If it lacks validation or test images, they are taken from its training images by group.

    Args:
        manifest: The images.
        test: Test fraction of all images, if they have no test split.
        val: Validation fraction of the rest, if they have no validation split.
        seed: Random seed of the split.

    Raises:
        SplitError: The column ``split`` has other values, or a split is empty.
    """
    present = set(manifest.column("split"))
    if present == {None}:
        return by_group(manifest, test=test, val=val, seed=seed)
    if present >= set(SPLITS) or "train" not in present:
        return given(manifest)
    splits = np.array(manifest.column("split"), dtype=object)
    rest = np.flatnonzero(splits == "train")
    fractions = [1 - val, val, 0.0] if "test" in present else [*split_fractions(test, val)]
    if "val" in present:
        fractions = [1 - test, 0.0, test]
    groups = manifest.column("group_id")
    used = [subset for subset, fraction in enumerate(fractions) if fraction]
    subsets = _assign(
        manifest.targets[rest], [groups[row] for row in rest], [fractions[subset] for subset in used], seed
    )
    splits[rest] = np.array(SPLITS, dtype=object)[np.array(used)[subsets]]
    log.info(
        "%s: no %s split is given, so it is taken from train by group",
        manifest.root,
        " and no ".join(name for name in SPLITS if name not in present),
    )
    return given(manifest.with_column("split", splits))


OWN_SPLIT = partial(own, test=0.1, val=0.2, seed=0)
"""As ``conf/data/split/own.yaml``: the split of a program's data module, by default."""


def made_split(target: str, *, has_split: bool) -> str:
    """Return the ``_target_`` of the split that a run makes, which is recorded with it.

    `own` splits a source without a split by group, so runs of version 0.1, which were, resume by the same
    command, and a split that the source gets later is another configuration.

    Args:
        target: The configured split.
        has_split: Whether the source has a split.
    """
    falls_back = target == f"{own.__module__}.{own.__name__}" and not has_split
    return f"{by_group.__module__}.{by_group.__name__}" if falls_back else target


def whole(manifest: Manifest) -> Manifest:
    """Put every image into the test split, to evaluate a trained network on a new data set.

    Classes without an image are allowed.
    """
    return _with_split(manifest, np.full(len(manifest), _TEST, dtype=np.int64))


def by_column(
    manifest: Manifest, *, column: str, test: Sequence[str | int], val: Fraction, seed: Seed
) -> Manifest:
    """Test on the images with certain values of a column, and train on all others.

    Images of the other values whose group also has test images are left out, so that nothing leaks.

    Args:
        manifest: The images.
        column: Any column of the manifest, such as museum, period or culture.
        test: The values to test on.
        val: Validation fraction of the remaining images, by group.
        seed: Random seed of the validation split.

    Raises:
        SplitError: There is no such column or value, or a split is empty.
    """
    if column not in manifest.table.column_names:
        raise SplitError(
            f"the manifest has no column '{column}'",
            where="data.split.column",
            remedy=suggestion(column, manifest.table.column_names),
        )
    values = np.array([str(value) for value in manifest.column(column)])
    test_values = [str(value) for value in test]
    if unknown := sorted(set(test_values) - set(values)):
        some = ", ".join(sorted(set(values))[:8])
        raise SplitError(
            f"no image has {column} '{unknown[0]}'", where="data.split.test", remedy=f"it has {some}"
        )
    tested = np.isin(values, test_values)
    groups = np.array(manifest.column("group_id"))
    overlapping = ~tested & np.isin(groups, groups[tested])
    rest = np.flatnonzero(~tested & ~overlapping)
    splits = np.full(len(manifest), _TEST, dtype=np.int64)
    if len(rest):
        subsets = _assign(manifest.targets[rest], groups[rest].tolist(), (1 - val, val), seed)
        splits[rest] = np.where(subsets == 1, _VAL, _TRAIN)
    kept = np.flatnonzero(~overlapping)
    return _validated(_with_split(manifest.take(kept), splits[kept]), "groups", all_classes_in_test=False)


def by_fold(manifest: Manifest, *, folds: Folds, fold: NonNegativeInt, val: Fraction, seed: Seed) -> Manifest:
    """Split for k-fold cross-validation by group, stratified by class.

    Args:
        manifest: The images.
        folds: Number of folds, at least 2.
        fold: The fold to test on, counted from 0.
        val: Validation fraction of the other folds, by group.
        seed: Random seed of the split.

    Raises:
        SplitError: There is no such fold, or a class has too few groups.
    """
    if fold >= folds:
        raise SplitError(
            f"fold {fold} of {folds}", where="data.split.fold", remedy=f"choose from 0 to {folds - 1}"
        )
    groups = manifest.column("group_id")
    fold_of = _assign(manifest.targets, groups, (1 / folds,) * folds, seed)
    rest = np.flatnonzero(fold_of != fold)
    splits = np.full(len(manifest), _TEST, dtype=np.int64)
    subsets = _assign(manifest.targets[rest], [groups[row] for row in rest], (1 - val, val), seed)
    splits[rest] = np.where(subsets == 1, _VAL, _TRAIN)
    return _validated(_with_split(manifest, splits), "groups")


def _assign(targets: Codes, groups: Sequence[str], fractions: Sequence[float], seed: int) -> Codes:
    codes = np.unique(np.array(groups, dtype=object).astype(str), return_inverse=True)[1]
    return assign_groups(targets, codes, groups, fractions, seed, large=_LARGE)


def _three_way_split(
    manifest: Manifest, groups: list[str], test: float, val: float, seed: int, unit: str
) -> Manifest:
    if any(manifest.column("split")):
        log.info("%s: its own split is replaced; data/split=given keeps it", manifest.root)
    splits = _assign(manifest.targets, groups, split_fractions(test, val), seed)
    return _validated(_with_split(manifest, splits), unit)


def _with_split(manifest: Manifest, splits: Codes) -> Manifest:
    return manifest.with_column("split", np.array(SPLITS, dtype=object)[splits])


def _validated(manifest: Manifest, unit: str | None, *, all_classes_in_test: bool = True) -> Manifest:
    """Raise an error if a split or a class in it is empty; return the manifest otherwise.

    Args:
        manifest: The images.
        unit: What was split, groups or images; None for a split that was given.
        all_classes_in_test: Whether the test split must have all classes.

    Raises:
        SplitError: A split or a class in it is empty.
    """
    _require_classes(manifest)
    splits = pa.compute.index_in(manifest.table["split"].combine_chunks(), pa.array(SPLITS)).to_numpy()
    counts = np.zeros((len(SPLITS), len(manifest.classes)), dtype=np.int64)
    np.add.at(counts, (splits, manifest.targets), 1)
    for row, split in zip(counts, SPLITS, strict=True):
        empty = [name for name, count in zip(manifest.classes, row, strict=True) if not count]
        # A museum or period alone need not have all classes.
        if len(empty) == len(manifest.classes) or (empty and (split != "test" or all_classes_in_test)):
            raise SplitError(
                f"no image of {', '.join(empty)} in the {split} split",
                where=manifest.root,
                remedy=f"a class needs at least three {unit}: add some, or shorten data.classes"
                if unit
                else "add some, split all images with data/split=group, or shorten data.classes",
            )
    return manifest


def _require_classes(manifest: Manifest) -> None:
    counts = manifest.counts()
    if empty := [name for name, count in counts.items() if not count]:
        raise SplitError(
            f"no image of {', '.join(empty)}",
            where=manifest.root,
            remedy="add images, or leave the class out of data.classes (null takes those that "
            "occur in folders or in a table)",
        )
    if len(counts) < 2:
        raise SplitError(
            f"only one class ({next(iter(counts))})", where=manifest.root, remedy="there must be at least two"
        )
