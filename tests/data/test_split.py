"""Splits keep groups whole and classes in proportion; data that cannot be split are refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from heritage.core.manifest import Manifest
from heritage.data import split
from heritage.errors import SplitError

CLASSES = ("a", "b", "c")


def manifest(seed: int = 0, images: int = 3000) -> Manifest:
    random = np.random.default_rng(seed)
    groups = random.integers(0, images // 3, images)
    # a group's class follows from its number, as an object has one class
    labels = np.array(CLASSES)[np.array([0, 0, 0, 0, 0, 1, 1, 2])[groups % 8]]
    return Manifest.build(
        {
            "file": [f"images/{n}.jpg" for n in range(images)],
            "class": labels,
            "group_id": [f"g{g}" for g in groups],
            "museum": np.where(groups % 3 == 0, "MET", "LOUVRE"),
        },
        Path("/set"),
        CLASSES,
    )


def shares(found: Manifest) -> dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    parts = np.array(found.column("split"))
    total = np.bincount(found.targets, minlength=3)
    return {s: np.bincount(found.targets[parts == s], minlength=3) / total for s in ("train", "val", "test")}


def test_groups_stay_whole_and_classes_in_proportion() -> None:
    found = split.by_group(manifest(), test=0.1, val=0.2, seed=0)
    parts: dict[str, set[str]] = {}
    for group, part in zip(found.column("group_id"), found.column("split"), strict=True):
        parts.setdefault(group, set()).add(part)
    assert all(len(where) == 1 for where in parts.values())
    for part, share in (("train", 0.72), ("val", 0.18), ("test", 0.1)):
        assert shares(found)[part] == pytest.approx(np.full(3, share), abs=0.01)


def test_a_split_does_not_depend_on_the_order_of_rows() -> None:
    first = split.by_group(manifest(), test=0.1, val=0.2, seed=3)
    order = np.random.default_rng(0).permutation(len(first))
    second = split.by_group(manifest().take(order), test=0.1, val=0.2, seed=3)
    assert dict(zip(first.column("file"), first.column("split"), strict=True)) == dict(
        zip(second.column("file"), second.column("split"), strict=True)
    )
    other = split.by_group(manifest(), test=0.1, val=0.2, seed=4)
    assert first.column("split") != other.column("split")


def test_by_image_separates_groups_and_keeps_proportions() -> None:
    found = split.by_image(manifest(), test=0.1, val=0.2, seed=0)
    parts: dict[str, set[str]] = {}
    for group, part in zip(found.column("group_id"), found.column("split"), strict=True):
        parts.setdefault(group, set()).add(part)
    assert sum(len(where) > 1 for where in parts.values()) > 100
    assert shares(found)["test"] == pytest.approx(np.full(3, 0.1), abs=0.003)


def test_a_large_group_does_not_fill_a_small_split() -> None:
    files = [f"{n}.jpg" for n in range(1000)]
    labels = ["a"] * 500 + ["b"] * 500
    groups = ["lot"] * 200 + [f"g{n}" for n in range(800)]
    data = Manifest.build({"file": files, "class": labels, "group_id": groups}, Path("/set"), ("a", "b"))
    for seed in range(20):
        found = split.by_group(data, test=0.1, val=0.2, seed=seed)
        parts = np.array(found.column("split"))
        assert np.sum(parts[:500] == "test") == pytest.approx(50, abs=5)


def test_folds_are_disjoint_and_cover_everything() -> None:
    data = manifest()
    tested = []
    for k in range(5):
        parts = split.by_fold(data, folds=5, fold=k, val=0.2, seed=0).column("split")
        tested.append({name for name, part in zip(data.column("file"), parts, strict=True) if part == "test"})
    assert set.union(*tested) == set(data.column("file"))
    assert sum(map(len, tested)) == len(data)
    with pytest.raises(SplitError, match="choose from 0 to 4"):
        split.by_fold(data, folds=5, fold=5, val=0.2, seed=0)


def test_by_column_tests_on_a_museum_and_leaks_no_group() -> None:
    data = manifest()
    found = split.by_column(data, column="museum", test=["MET"], val=0.2, seed=0)
    parts = np.array(found.column("split"))
    museums = np.array(found.column("museum"))
    assert set(museums[parts == "test"]) == {"MET"}
    assert set(museums[parts != "test"]) == {"LOUVRE"}
    with pytest.raises(SplitError, match="did you mean 'museum'"):
        split.by_column(data, column="museums", test=["MET"], val=0.2, seed=0)
    with pytest.raises(SplitError, match="no image has museum 'PRADO'"):
        split.by_column(data, column="museum", test=["PRADO"], val=0.2, seed=0)

    groups = np.array(data.column("group_id"))
    overlapping = data.with_column("museum", np.where(np.arange(len(data)) % 2, "MET", "LOUVRE"))
    found = split.by_column(overlapping, column="museum", test=["MET"], val=0.2, seed=0)
    parts, kept = np.array(found.column("split")), np.array(found.column("group_id"))
    assert not set(kept[parts == "test"]) & set(kept[parts != "test"])
    assert len(found) < len(groups)


def test_given_uses_the_split_column() -> None:
    data = manifest()
    with_splits = split.by_group(data, test=0.1, val=0.2, seed=0)
    assert split.given(with_splits).column("split") == with_splits.column("split")
    with pytest.raises(SplitError, match="no split column"):
        split.given(data)
    with pytest.raises(SplitError, match="unknown split 'dev'"):
        split.given(data.with_column("split", ["dev"] * len(data)))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a"] * 9 + ["b"] * 2, "no image of b in the (val|test) split"),
        (["a"] * 9, "no image of b"),
    ],
)
def test_an_empty_class_is_refused(labels: list[str], message: str) -> None:
    files = [f"{n}.jpg" for n in range(len(labels))]
    data = Manifest.build({"file": files, "class": labels}, Path("/set"), ("a", "b"))
    with pytest.raises(SplitError, match=message):
        split.by_group(data, test=0.1, val=0.2, seed=0)


def own_split(splits: Sequence[str | None], classes: Sequence[str]) -> Manifest:
    """Return the split of images of two views per object, some of which have a split."""
    columns = {
        "file": [f"{row}.jpg" for row in range(len(splits))],
        "class": list(classes),
        "object_id": [str(row // 2) for row in range(len(splits))],
        "split": pa.array(splits, pa.string()),
    }
    manifest = Manifest.build(columns, Path("set"), sorted(set(classes)))
    return split.own(manifest, test=0.2, val=0.25, seed=0)


def test_the_sources_own_split_is_kept() -> None:
    given = ["train", "train", "val", "val", "test", "test"] * 4
    classes = ["a"] * 12 + ["b"] * 12
    assert own_split(given, classes).column("split") == given


@pytest.mark.parametrize("given", [("train", "test"), ("train", "val"), ("train",)])
def test_what_the_source_lacks_is_taken_from_its_training_images(given: tuple[str, ...]) -> None:
    splits = [given[row // 2 % len(given)] for row in range(80)]
    whole = own_split(splits, ["a"] * 40 + ["b"] * 40)
    found = whole.column("split")
    assert set(found) == {"train", "val", "test"}
    assert all(new == old for new, old in zip(found, splits, strict=True) if old != "train")
    groups = dict(zip(zip(whole.column("group_id"), found, strict=True), found, strict=True))
    assert len(groups) == 40, "objects stay whole"


def test_without_a_split_of_its_own_a_source_is_split_by_group() -> None:
    classes = ["a"] * 40 + ["b"] * 40
    found = own_split([None] * 80, classes)
    plain = split.by_group(found, test=0.2, val=0.25, seed=0)
    assert found.column("split") == plain.column("split")


@pytest.mark.parametrize(
    ("target", "has_split", "made"),
    [
        ("own", False, "by_group"),
        ("own", True, "own"),
        ("by_image", False, "by_image"),
        ("given", True, "given"),
    ],
)
def test_a_run_records_the_split_that_is_made(target: str, has_split: bool, made: str) -> None:
    name = "heritage.data.split."
    assert split.made_split(name + target, has_split=has_split) == name + made
