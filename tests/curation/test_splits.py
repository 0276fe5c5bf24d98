"""Splits by group, fold, museum and image, and splits of earlier builds."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from heritage.core.group_split import UNASSIGNED
from heritage.curation.splits import (
    TEST,
    TRAIN,
    VAL,
    SplitAssignment,
    SplitHistory,
    Splitting,
    assign,
    missing_classes,
)
from heritage.errors import ConfigError, SplitError
from tests.core.group_rows import population, subsets_by_group, unassigned

SPLITTING = Splitting("group", 0.1, 0.2, None, 0, [], 0)


def test_folds_are_equal_and_each_is_the_test_split_once() -> None:
    targets, groups, names = population(3, 2000)
    before = SplitAssignment(unassigned(len(groups)), unassigned(len(groups)))
    tested = np.zeros(len(groups), dtype=int)
    for fold in range(5):
        splitting = dataclasses.replace(SPLITTING, folds=5, fold=fold)
        assignment = assign(splitting, targets, groups, ["M"] * len(groups), names, before)
        tested += assignment.split == TEST
        assert all(len(found) == 1 for found in subsets_by_group(groups, assignment.split).values())
    assert (tested == 1).all()
    np.testing.assert_allclose(np.bincount(assignment.fold) / len(groups), 0.2, atol=0.02)


def test_the_test_split_is_that_of_the_named_museums() -> None:
    targets, groups, names = population(4, 300)
    museums = ["MET" if group % 3 else "LOUVRE" for group in groups]
    splitting = dataclasses.replace(SPLITTING, by="museum", museums=["LOUVRE"])
    assignment = assign(
        splitting,
        targets,
        groups,
        museums,
        names,
        SplitAssignment(unassigned(len(groups)), unassigned(len(groups))),
    )
    assert {m for m, s in zip(museums, assignment.split, strict=True) if s == TEST} == {"LOUVRE"}
    assert {m for m, s in zip(museums, assignment.split, strict=True) if s != TEST} == {"MET"}
    with pytest.raises(SplitError, match="no photograph is from CLEVELAND; there are LOUVRE, MET"):
        assign(
            dataclasses.replace(splitting, museums=["CLEVELAND"]), targets, groups, museums, names, assignment
        )


def test_a_split_by_image_separates_groups() -> None:
    targets, groups, names = population(5, 800)
    splitting = dataclasses.replace(SPLITTING, by="image")
    assignment = assign(
        splitting,
        targets,
        groups,
        ["M"] * len(groups),
        names,
        SplitAssignment(unassigned(len(groups)), unassigned(len(groups))),
    )
    assert any(len(found) > 1 for found in subsets_by_group(groups, assignment.split).values())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"by": "image", "folds": 3}, "folds with by=image"),
        ({"folds": 3, "fold": 3}, "fold 3 of 3"),
        ({"by": "museum"}, "no museum to test on"),
    ],
)
def test_invalid_combinations_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(SPLITTING, **change).check()  # type: ignore[arg-type]


def test_earlier_splits_are_kept_only_for_the_same_options(tmp_path: Path) -> None:
    path = tmp_path / "split.parquet"
    assignment = SplitAssignment(np.array([TRAIN, VAL]), unassigned(2))
    SplitHistory(path, SPLITTING).write(["x", "y"], assignment)
    SplitHistory(path, SPLITTING).write(["z"], SplitAssignment(np.array([TEST]), unassigned(1)))
    known = SplitHistory(path, SPLITTING).lookup(["y", "new", "z", "x"])
    assert known.split.tolist() == [VAL, UNASSIGNED, TEST, TRAIN]
    other = SplitHistory(path, dataclasses.replace(SPLITTING, seed=1)).lookup(["x"])
    assert other.split.tolist() == [UNASSIGNED]


def test_missing_classes_are_reported_once() -> None:
    assignment = SplitAssignment(np.array([TRAIN, TRAIN, VAL, TEST]), unassigned(4))
    assert missing_classes(assignment, np.array([0, 1, 0, 0]), ["a", "b", "c"]) == [
        "There is no image of c; training leaves them out.",
        "No image of b is in the val split.",
        "No image of b is in the test split.",
    ]
