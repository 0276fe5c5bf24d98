"""Groups stay whole, classes keep their share, and nothing moves when photographs are added."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import networkx as nx  # type: ignore[import-untyped]
import numpy as np
import pytest

from heritage.core.group_split import UNASSIGNED, assign_groups
from heritage.curation.groups import components, find_bridges, links
from heritage.curation.leak_check import check_leaks
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

SHARES = (0.72, 0.18, 0.1)
SPLITTING = Splitting("group", 0.1, 0.2, None, 0, [], 0)


def population(seed: int, groups: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Groups of heavy-tailed sizes, each mostly of one class; and a checksum for each row."""
    rng = np.random.default_rng(seed)
    sizes = np.minimum(rng.zipf(2.0, groups), 40)
    codes = np.repeat(np.arange(groups), sizes)
    targets = rng.choice(3, groups, p=[0.7, 0.2, 0.1])[codes]
    return targets, codes, [f"{number:08x}" for number in rng.integers(0, 2**32, len(codes)).tolist()]


def fresh(rows: int) -> np.ndarray:
    return np.full(rows, UNASSIGNED)


@pytest.mark.parametrize("seed", range(4))
def test_groups_stay_whole_and_classes_get_their_share(seed: int) -> None:
    targets, groups, names = population(seed, 3000)
    parts = assign_groups(targets, groups, names, SHARES, seed, previous=fresh(len(groups)))
    assert all(len(found) == 1 for found in _parts_of(groups, parts).values())
    for target in range(3):
        own = parts[targets == target]
        np.testing.assert_allclose(np.bincount(own, minlength=3) / len(own), SHARES, atol=0.02)


def test_the_order_and_names_of_rows_do_not_matter() -> None:
    targets, groups, names = population(1, 500)
    parts = assign_groups(targets, groups, names, SHARES, 0, previous=fresh(len(groups)))
    order = np.random.default_rng(0).permutation(len(groups))
    renamed = (groups[order] * 7919) % 100_003
    again = assign_groups(
        targets[order], renamed, [names[i] for i in order], SHARES, 0, previous=fresh(len(groups))
    )
    np.testing.assert_array_equal(again, parts[order])
    assert (assign_groups(targets, groups, names, SHARES, 1, previous=fresh(len(groups))) != parts).any()


def test_adding_moves_nothing_and_keeps_shares() -> None:
    targets, groups, names = population(2, 2000)
    old = groups < 1200
    first = assign_groups(
        targets[old],
        groups[old],
        [n for n, o in zip(names, old, strict=True) if o],
        SHARES,
        0,
        previous=fresh(old.sum()),
    )
    before = fresh(len(groups))
    before[old] = first
    parts = assign_groups(targets, groups, names, SHARES, 0, previous=before)
    np.testing.assert_array_equal(parts[old], first)
    assert all(len(found) == 1 for found in _parts_of(groups, parts).values())
    np.testing.assert_allclose(np.bincount(parts) / len(parts), SHARES, atol=0.02)


def test_components_are_those_of_networkx() -> None:
    rng = np.random.default_rng(0)
    pairs = rng.integers(0, 200, (120, 2))
    graph = nx.Graph(pairs.tolist())
    graph.add_nodes_from(range(200))
    found = components(200, [pairs[:50], pairs[50:]])
    expected = {frozenset(one) for one in nx.connected_components(graph)}
    assert {frozenset(np.flatnonzero(found == c).tolist()) for c in set(found.tolist())} == expected


def test_links_of_a_key_join_its_rows_and_nothing_else() -> None:
    assert links(["a", None, "b", "a", None, "a"]).tolist() == [[0, 3], [0, 5]]


def test_a_new_row_that_joins_two_parts_is_a_bridge() -> None:
    objects = [["a", "a", "b", "b", "a", "c", "c"]]
    parts = np.array([TRAIN, TRAIN, TEST, TEST, UNASSIGNED, UNASSIGNED, UNASSIGNED])
    linking = np.ones(7, dtype=bool)
    # Row 4 is of object a and looks like row 2 of object b; row 5 of a new object looks like row 0.
    pairs = np.array([[2, 4], [0, 5]])
    assert find_bridges(objects, linking, pairs, parts) == [4]
    # Through new rows alone: 5 looks like a, 6 of the same object looks like b.
    pairs = np.array([[0, 5], [2, 6]])
    assert find_bridges(objects, linking, pairs, parts) == [6]
    assert find_bridges(objects, linking, pairs, np.full(7, UNASSIGNED)) == []


@pytest.mark.parametrize("seed", range(3))
def test_without_its_bridges_no_group_reaches_into_two_parts(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = 1500
    objects = [f"{number}" for number in rng.integers(0, 900, rows).tolist()]
    pairs = rng.integers(0, rows, (400, 2))
    old = np.arange(rows) < 700
    # The old rows as an earlier build dealt them: whole groups.
    inner = pairs[(pairs < 700).all(axis=1)]
    groups = components(rows, [links([o if k else None for o, k in zip(objects, old, strict=True)]), inner])
    parts = np.where(old, groups % 3, UNASSIGNED)
    found = find_bridges([objects], np.ones(rows, dtype=bool), pairs, parts)
    assert found
    assert all(not old[row] for row in found)
    kept = np.setdiff1d(np.arange(rows), found)
    few = pairs[np.isin(pairs, kept).all(axis=1)]
    keys = [one if row not in set(found) else None for row, one in enumerate(objects)]
    whole = components(rows, [links(keys), few])
    reached = _parts_of(whole[old], parts[old])
    assert all(len(one) == 1 for one in reached.values())
    # None was refused without need: admitted after all, each would join groups of several parts.
    for row in found[:20]:
        again = [one if number == row or keys[number] else None for number, one in enumerate(objects)]
        near = pairs[np.isin(pairs, np.append(kept, row)).all(axis=1)]
        joined = components(rows, [links(again), near])
        assert len(set(parts[(joined == joined[row]) & old].tolist())) > 1


def test_folds_are_equal_and_each_is_the_test_split_once() -> None:
    targets, groups, names = population(3, 2000)
    before = SplitAssignment(fresh(len(groups)), fresh(len(groups)))
    tested = np.zeros(len(groups), dtype=int)
    for fold in range(5):
        splitting = dataclasses.replace(SPLITTING, folds=5, fold=fold)
        dealt = assign(splitting, targets, groups, ["M"] * len(groups), names, before)
        tested += dealt.split == TEST
        assert all(len(found) == 1 for found in _parts_of(groups, dealt.split).values())
    assert (tested == 1).all()
    np.testing.assert_allclose(np.bincount(dealt.fold) / len(groups), 0.2, atol=0.02)


def test_a_museum_is_tested_on_alone() -> None:
    targets, groups, names = population(4, 300)
    museums = ["MET" if group % 3 else "LOUVRE" for group in groups]
    splitting = dataclasses.replace(SPLITTING, by="museum", museums=["LOUVRE"])
    dealt = assign(
        splitting, targets, groups, museums, names, SplitAssignment(fresh(len(groups)), fresh(len(groups)))
    )
    assert {m for m, s in zip(museums, dealt.split, strict=True) if s == TEST} == {"LOUVRE"}
    assert {m for m, s in zip(museums, dealt.split, strict=True) if s != TEST} == {"MET"}
    with pytest.raises(SplitError, match="no photograph is from CLEVELAND; there are LOUVRE, MET"):
        assign(dataclasses.replace(splitting, museums=["CLEVELAND"]), targets, groups, museums, names, dealt)


def test_by_image_tears_groups_apart() -> None:
    targets, groups, names = population(5, 800)
    splitting = dataclasses.replace(SPLITTING, by="image")
    dealt = assign(
        splitting,
        targets,
        groups,
        ["M"] * len(groups),
        names,
        SplitAssignment(fresh(len(groups)), fresh(len(groups))),
    )
    assert any(len(found) > 1 for found in _parts_of(groups, dealt.split).values())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"by": "image", "folds": 3}, "folds with by=image"),
        ({"folds": 3, "fold": 3}, "fold 3 of 3"),
        ({"by": "museum"}, "no museum to test on"),
    ],
)
def test_senseless_combinations_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(SPLITTING, **change).check()  # type: ignore[arg-type]


def test_earlier_parts_are_kept_only_for_the_same_settings(tmp_path: Path) -> None:
    path = tmp_path / "split.parquet"
    dealt = SplitAssignment(np.array([TRAIN, VAL]), fresh(2))
    SplitHistory(path, SPLITTING).write(["x", "y"], dealt)
    SplitHistory(path, SPLITTING).write(["z"], SplitAssignment(np.array([TEST]), fresh(1)))
    known = SplitHistory(path, SPLITTING).lookup(["y", "new", "z", "x"])
    assert known.split.tolist() == [VAL, UNASSIGNED, TEST, TRAIN]
    other = SplitHistory(path, dataclasses.replace(SPLITTING, seed=1)).lookup(["x"])
    assert other.split.tolist() == [UNASSIGNED]


def test_missing_classes_are_said_once() -> None:
    dealt = SplitAssignment(np.array([TRAIN, TRAIN, VAL, TEST]), fresh(4))
    assert missing_classes(dealt, np.array([0, 1, 0, 0]), ["a", "b", "c"]) == [
        "There is no image of c: train with 'data.classes=[a,b]'.",
        "No image of b is in the val split.",
        "No image of b is in the test split.",
    ]


def test_the_audit_finds_each_kind_of_leak() -> None:
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (4, 256), dtype=np.uint8)
    pictures[3] = pictures[0]
    hashes = rng.integers(0, 2**64, 4, dtype=np.uint64)
    hashes[3] = hashes[0] ^ np.uint64(0b1011)
    splits = ["train", "train", "val", "test"]
    apart = ["1", "2", "3", "4"]
    keys: dict[str, Sequence[str | None]] = {
        "groups": ["g", "h", "h", "i"],
        "objects": ["a", None, None, "a"],
        "raw_files": apart,
        "images": apart,
    }
    found = check_leaks(splits, keys, apart, hashes, pictures, radius=3, min_similarity=0.9)
    assert (found.groups, found.objects, found.raw_files, found.near_duplicates) == (1, 1, 0, 1)
    assert found.compared == 5
    assert not found.clean
    assert "near_duplicates: 4 and 1" in found.examples
    assert check_leaks(
        splits, dict.fromkeys(keys, apart), apart, hashes, pictures, radius=2, min_similarity=0.9
    ).clean


def _parts_of(groups: np.ndarray, parts: np.ndarray) -> dict[int, Counter[int]]:
    found: dict[int, Counter[int]] = defaultdict(Counter)
    for group, part in zip(groups.tolist(), parts.tolist(), strict=True):
        found[group][part] += 1
    return found
