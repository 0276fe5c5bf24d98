"""Groups are assigned whole, stratified by class, and keep earlier assignments."""

from __future__ import annotations

import numpy as np
import pytest

from heritage.core.group_split import assign_groups
from tests.core.group_rows import population, subsets_by_group, unassigned

FRACTIONS = (0.72, 0.18, 0.1)


@pytest.mark.parametrize("seed", range(4))
def test_groups_stay_whole_and_classes_are_stratified(seed: int) -> None:
    targets, groups, names = population(seed, 3000)
    subsets = assign_groups(targets, groups, names, FRACTIONS, seed, previous=unassigned(len(groups)))
    assert all(len(found) == 1 for found in subsets_by_group(groups, subsets).values())
    for target in range(3):
        own = subsets[targets == target]
        np.testing.assert_allclose(np.bincount(own, minlength=3) / len(own), FRACTIONS, atol=0.02)


def test_the_order_and_names_of_rows_do_not_matter() -> None:
    targets, groups, names = population(1, 500)
    subsets = assign_groups(targets, groups, names, FRACTIONS, 0, previous=unassigned(len(groups)))
    order = np.random.default_rng(0).permutation(len(groups))
    renamed = (groups[order] * 7919) % 100_003
    again = assign_groups(
        targets[order], renamed, [names[i] for i in order], FRACTIONS, 0, previous=unassigned(len(groups))
    )
    np.testing.assert_array_equal(again, subsets[order])
    assert (
        assign_groups(targets, groups, names, FRACTIONS, 1, previous=unassigned(len(groups))) != subsets
    ).any()


def test_adding_rows_keeps_assignments_and_fractions() -> None:
    targets, groups, names = population(2, 2000)
    old = groups < 1200
    first = assign_groups(
        targets[old],
        groups[old],
        [n for n, o in zip(names, old, strict=True) if o],
        FRACTIONS,
        0,
        previous=unassigned(old.sum()),
    )
    before = unassigned(len(groups))
    before[old] = first
    subsets = assign_groups(targets, groups, names, FRACTIONS, 0, previous=before)
    np.testing.assert_array_equal(subsets[old], first)
    assert all(len(found) == 1 for found in subsets_by_group(groups, subsets).values())
    np.testing.assert_allclose(np.bincount(subsets) / len(subsets), FRACTIONS, atol=0.02)
