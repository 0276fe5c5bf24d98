"""Group photographs that must be in the same split.

Photographs are linked if they show the same object, are duplicates or near-duplicates, or have the same
value in a column that the configuration names, such as the lot. Groups are the connected components of all
links.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.sparse import coo_array  # type: ignore[import-untyped]
from scipy.sparse.csgraph import connected_components  # type: ignore[import-untyped]

from heritage.core.group_split import UNASSIGNED
from heritage.core.taxonomy import suggestion
from heritage.errors import ConfigError

Codes = npt.NDArray[np.int64]
Pairs = npt.NDArray[np.int64]

_OPTIONAL = ("object_id", "group_id")  # may be missing in the source


@dataclass(frozen=True, slots=True)
class Grouping:
    """The columns by which photographs of one museum are grouped.

    Attributes:
        columns: Names of columns; ``object_id`` and ``group_id`` may be missing in the source.
    """

    columns: list[str]

    def keys(self, table: pa.Table, museums: Sequence[str]) -> list[list[str | None]]:
        """Return the keys of each column: its values, prefixed by the museum; None for missing values.

        Raises:
            ConfigError: The source has no such column.
        """
        keys = []
        for name in self.columns:
            if name in table.column_names:
                values = table[name].cast(pa.string()).to_pylist()
                keys.append([f"{m}\x1f{v}" if v else None for m, v in zip(museums, values, strict=True)])
            elif name not in _OPTIONAL:
                raise ConfigError(
                    f"the source has no column '{name}'",
                    where="groups.columns",
                    remedy=suggestion(name, table.column_names),
                )
        return keys


def all_links(
    keys: Sequence[Sequence[str | None]], linking: npt.NDArray[np.bool_], pairs: Pairs
) -> list[Pairs]:
    """Return the links between rows, by key and by near-duplicate.

    Args:
        keys: For each kind of link, the key of each row.
        linking: Mask of the rows that may be linked, shape (N,).
        pairs: Pairs of near-duplicates, shape (M, 2).
    """
    mask = linking.tolist()
    by_key = [links([key if on else None for key, on in zip(column, mask, strict=True)]) for column in keys]
    return [*by_key, pairs[linking[pairs].all(axis=1)]]


def find_bridges(
    keys: Sequence[Sequence[str | None]], linking: npt.NDArray[np.bool_], pairs: Pairs, subsets: Codes
) -> list[int]:
    """Return the bridges: new rows that would join groups in different subsets of an earlier build.

    Old rows are added to a union-find first, then new ones one by one; a new row that would join groups of
    another subset is a bridge and is not added.

    Args:
        keys: As for `all_links`.
        linking: As for `all_links`.
        pairs: As for `all_links`.
        subsets: The subset (split or fold) of each row in the earlier build, or `UNASSIGNED`; shape (N,).
    """
    rows = np.flatnonzero(
        linking & _spans_subsets(components(len(linking), all_links(keys, linking, pairs)), subsets)
    )
    if not len(rows):
        return []
    union = _UnionFind(subsets[rows])
    place = {row: position for position, row in enumerate(rows.tolist())}
    near: dict[int, list[int]] = defaultdict(list)
    for one, other in pairs[np.isin(pairs, rows).all(axis=1)].tolist():
        near[place[one]].append(place[other])
        near[place[other]].append(place[one])
    bridges = []
    new = subsets[rows] == UNASSIGNED
    # A stable sort: old rows first, and each kind in the order of the source.
    for position in np.argsort(new, kind="stable").tolist():
        row = int(rows[position])
        own = [(kind, column[row]) for kind, column in enumerate(keys) if column[row] is not None]
        if not union.add(position, own, near[position], always=not new[position]):
            bridges.append(row)
    return bridges


class _UnionFind:
    """Groups to which rows are added one by one, with the subsets of each group.

    Args:
        subsets: The subset of each row in an earlier build, or `UNASSIGNED`; shape (N,).
    """

    def __init__(self, subsets: Codes) -> None:
        self._parent = list(range(len(subsets)))
        self._subsets = [{part} - {UNASSIGNED} for part in subsets.tolist()]
        self._row_of_key: dict[tuple[int, str | None], int] = {}  # the latest row of each key
        self._added: set[int] = set()

    def add(
        self, row: int, keys: Sequence[tuple[int, str | None]], near: Sequence[int], *, always: bool
    ) -> bool:
        """Join a row to the groups it is linked to, and return True.

        If the joint group would be in more subsets than before, change nothing and return False, unless
        ``always``.
        """
        linked = {self._root(self._row_of_key[key]) for key in keys if key in self._row_of_key}
        linked |= {self._root(other) for other in near if other in self._added}
        most = max((len(self._subsets[root]) for root in linked), default=0)
        joint = self._subsets[row].union(*(self._subsets[root] for root in linked))
        if not always and len(joint) > max(1, most):
            return False
        for root in linked:
            self._parent[root] = row
        self._subsets[row] = joint
        self._row_of_key.update(dict.fromkeys(keys, row))
        self._added.add(row)
        return True

    def _root(self, row: int) -> int:
        while self._parent[row] != row:
            self._parent[row] = self._parent[self._parent[row]]
            row = self._parent[row]
        return row


def _spans_subsets(group: Codes, subsets: Codes) -> npt.NDArray[np.bool_]:
    """Return a mask of the rows whose group has rows in several subsets."""
    old = np.flatnonzero(subsets != UNASSIGNED)
    low = np.full(len(group), np.iinfo(np.int64).max)
    high = np.full(len(group), UNASSIGNED)
    np.minimum.at(low, group[old], subsets[old])
    np.maximum.at(high, group[old], subsets[old])
    return np.asarray(low[group] < high[group])


def links(keys: Sequence[str | None]) -> Pairs:
    """Return links from the first row of each key to its other rows, shape (M, 2); None is no key."""
    first: dict[str, int] = {}
    pairs = [
        (first[key], row)
        for row, key in enumerate(keys)
        if key is not None and first.setdefault(key, row) != row
    ]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def components(rows: int, pairs: Sequence[Pairs]) -> npt.NDArray[np.int64]:
    """Return the connected component of each row, shape (rows,), numbered in order of appearance."""
    edges = np.concatenate([np.empty((0, 2), dtype=np.int64), *pairs])
    weights = np.ones(len(edges), dtype=np.bool_)
    graph = coo_array((weights, (edges[:, 0], edges[:, 1])), shape=(rows, rows))
    _, component = connected_components(graph, directed=False)
    _, first, inverse = np.unique(component, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[inverse], dtype=np.int64)
