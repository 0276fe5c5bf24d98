"""Groups are connected components; new rows that join groups of different subsets are bridges."""

from __future__ import annotations

import networkx as nx  # type: ignore[import-untyped]
import numpy as np
import pytest

from heritage.core.group_split import UNASSIGNED
from heritage.curation.groups import components, find_bridges, links
from heritage.curation.splits import (
    TEST,
    TRAIN,
)
from tests.core.group_rows import subsets_by_group


def test_components_equal_those_of_networkx() -> None:
    rng = np.random.default_rng(0)
    pairs = rng.integers(0, 200, (120, 2))
    graph = nx.Graph(pairs.tolist())
    graph.add_nodes_from(range(200))
    found = components(200, [pairs[:50], pairs[50:]])
    expected = {frozenset(one) for one in nx.connected_components(graph)}
    assert {frozenset(np.flatnonzero(found == c).tolist()) for c in set(found.tolist())} == expected


def test_links_join_the_rows_of_a_key() -> None:
    assert links(["a", None, "b", "a", None, "a"]).tolist() == [[0, 3], [0, 5]]


def test_a_new_row_that_joins_two_subsets_is_a_bridge() -> None:
    objects = [["a", "a", "b", "b", "a", "c", "c"]]
    subsets = np.array([TRAIN, TRAIN, TEST, TEST, UNASSIGNED, UNASSIGNED, UNASSIGNED])
    linking = np.ones(7, dtype=bool)
    # Row 4 is of object a and looks like row 2 of object b; row 5 of a new object looks like row 0.
    pairs = np.array([[2, 4], [0, 5]])
    assert find_bridges(objects, linking, pairs, subsets) == [4]
    # Through new rows alone: 5 looks like a, 6 of the same object looks like b.
    pairs = np.array([[0, 5], [2, 6]])
    assert find_bridges(objects, linking, pairs, subsets) == [6]
    assert find_bridges(objects, linking, pairs, np.full(7, UNASSIGNED)) == []


@pytest.mark.parametrize("seed", range(3))
def test_without_bridges_every_group_is_in_one_subset(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = 1500
    objects = [f"{number}" for number in rng.integers(0, 900, rows).tolist()]
    pairs = rng.integers(0, rows, (400, 2))
    old = np.arange(rows) < 700
    # The old rows as an earlier build assignment them: whole groups.
    inner = pairs[(pairs < 700).all(axis=1)]
    groups = components(rows, [links([o if k else None for o, k in zip(objects, old, strict=True)]), inner])
    subsets = np.where(old, groups % 3, UNASSIGNED)
    found = find_bridges([objects], np.ones(rows, dtype=bool), pairs, subsets)
    assert found
    assert all(not old[row] for row in found)
    kept = np.setdiff1d(np.arange(rows), found)
    few = pairs[np.isin(pairs, kept).all(axis=1)]
    keys = [one if row not in set(found) else None for row, one in enumerate(objects)]
    whole = components(rows, [links(keys), few])
    reached = subsets_by_group(whole[old], subsets[old])
    assert all(len(one) == 1 for one in reached.values())
    # None was refused without need: admitted after all, each would join groups of several subsets.
    for row in found[:20]:
        again = [one if number == row or keys[number] else None for number, one in enumerate(objects)]
        near = pairs[np.isin(pairs, np.append(kept, row)).all(axis=1)]
        joined = components(rows, [links(again), near])
        assert len(set(subsets[(joined == joined[row]) & old].tolist())) > 1
