"""Who trains, who chooses, who is asked at the end: splits that keep groups whole and classes in proportion.

Every splitter is called as ``splitter(manifest)`` and returns the manifest with its `split` column set.
The order in which groups are dealt comes from a hash of the seed and the group's name, so a split does
not depend on the order of the rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Annotated

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from heritage.config.types import Fraction, Natural
from heritage.errors import SplitError
from heritage.manifest import SPLITS, Manifest
from heritage.taxonomy import nearest

Folds = Annotated[int, Field(ge=2, strict=True)]
Codes = npt.NDArray[np.int64]

_TRAIN, _VAL, _TEST = range(3)
# A group may overfill a part by this much of what the part is to hold of a class.
_SLACK = 0.05
# A group with more than this part of a class is dealt early, while there is room for it somewhere.
_LARGE = 0.02


def by_group(manifest: Manifest, *, test: Fraction, val: Fraction, seed: Natural) -> Manifest:
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


def by_image(manifest: Manifest, *, test: Fraction, val: Fraction, seed: Natural) -> Manifest:
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
    manifest: Manifest, *, column: str, test: Sequence[str | int], val: Fraction, seed: Natural
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
        dealt = deal(manifest.targets[rest], groups[rest].tolist(), (1 - val, val), seed)
        parts[rest] = np.where(dealt == 1, _VAL, _TRAIN)
    kept = np.flatnonzero(~torn)
    return _checked(_assigned(manifest.take(kept), parts[kept]), "groups", tested_classes=False)


def by_fold(manifest: Manifest, *, folds: Folds, fold: Natural, val: Fraction, seed: Natural) -> Manifest:
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
    dealt = deal(manifest.targets, groups, (1 / folds,) * folds, seed)
    rest = np.flatnonzero(dealt != fold)
    parts = np.full(len(manifest), _TEST, dtype=np.int64)
    inner = deal(manifest.targets[rest], [groups[row] for row in rest], (1 - val, val), seed)
    parts[rest] = np.where(inner == 1, _VAL, _TRAIN)
    return _checked(_assigned(manifest, parts), "groups")


def deal(targets: Codes, groups: Sequence[str], shares: Sequence[float], seed: int) -> Codes:
    """Deal groups to parts so that each part gets its share of every class.

    Groups come in a random order, large ones first, and each goes where its classes are furthest behind
    their share, as in drawing by quota, unless it would overfill that part; every part gets a group of
    each class before any is filled up.

    Args:
        targets: The class of each image, shape (N,).
        groups: The group of each image, length N.
        shares: The share of each part; they add up to 1.
        seed: Another seed gives another order.

    Returns:
        The part of each image, shape (N,).
    """
    names, codes = np.unique(np.array(groups, dtype=object).astype(str), return_inverse=True)
    classes = int(targets.max(initial=0)) + 1
    contents = np.zeros((len(names), classes))
    np.add.at(contents, (codes, targets), 1)
    goal = np.outer(np.asarray(shares), contents.sum(axis=0))
    goals = np.maximum(goal, 1e-9).tolist()
    held = [[0.0] * classes for _ in shares]
    part_of = np.empty(len(names), dtype=np.int64)
    small = (contents <= _LARGE * contents.sum(axis=0)).all(axis=1)
    order = np.lexsort(([_rank(name, seed) for name in names], small))
    # Plain lists: a quarter of a million groups are dealt in about a second, with arrays in ten.
    for group in order.tolist():
        inside = [(int(k), float(contents[group, k])) for k in np.flatnonzero(contents[group])]
        best = max(range(len(held)), key=lambda part: _need(inside, held[part], goals[part]))
        part_of[group] = best
        for k, count in inside:
            held[best][k] += count
    return part_of[codes]


def _need(
    inside: list[tuple[int, float]], held: list[float], goals: list[float]
) -> tuple[bool, float, float]:
    """How much a part wants a group: fits, then relative need, then size (larger parts break ties)."""
    fits = all(not held[k] or held[k] + count <= goals[k] * (1 + _SLACK) + 1 for k, count in inside)
    need = sum(count * (1 - held[k] / goals[k]) for k, count in inside)
    return fits, need, goals[inside[0][0]]


def _rank(name: str, seed: int) -> int:
    digest = hashlib.blake2b(name.encode(), digest_size=8, key=str(seed).encode()).digest()
    return int.from_bytes(digest, "big") >> 1  # fits an int64


def _three_ways(
    manifest: Manifest, groups: list[str], test: float, val: float, seed: int, unit: str
) -> Manifest:
    shares = ((1 - test) * (1 - val), (1 - test) * val, test)
    return _checked(_assigned(manifest, deal(manifest.targets, groups, shares, seed)), unit)


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
