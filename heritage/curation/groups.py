"""Groups: what a split must not tear apart.

Photographs belong together where they show the same object, are the same photograph, are
near-duplicates, or share any column that the configuration names (the lot, say): the connected
components of all these links.
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
from heritage.core.taxonomy import nearest
from heritage.errors import ConfigError

Codes = npt.NDArray[np.int64]
Pairs = npt.NDArray[np.int64]

_OPTIONAL = ("object_id", "group_id")  # used where the source knows them


@dataclass(frozen=True, slots=True)
class Grouping:
    """Which columns of the source say that photographs belong together, within one museum.

    Attributes:
        columns: Their names; ``object_id`` and ``group_id`` may be absent.
    """

    columns: list[str]

    def keys(self, table: pa.Table, museums: Sequence[str]) -> list[list[str | None]]:
        """Return each column's values with the museum before them; None where a value is unknown.

        Raises:
            ConfigError: The source has no such column.
        """
        found = []
        for name in self.columns:
            if name in table.column_names:
                values = table[name].cast(pa.string()).to_pylist()
                found.append([f"{m}\x1f{v}" if v else None for m, v in zip(museums, values, strict=True)])
            elif name not in _OPTIONAL:
                near = nearest(name, table.column_names)
                hint = f"did you mean '{near}'?" if near else f"it has {', '.join(table.column_names)}"
                raise ConfigError(f"the source has no column '{name}'", where="groups.columns", remedy=hint)
        return found


def all_links(
    keys: Sequence[Sequence[str | None]], linking: npt.NDArray[np.bool_], pairs: Pairs
) -> list[Pairs]:
    """Return the links between rows that may link: by key, and by near-duplicate pair.

    Args:
        keys: For each kind of link, each row's key.
        linking: Which rows may link others, shape (N,).
        pairs: Rows of near-duplicates, shape (M, 2).
    """
    may = linking.tolist()
    by_key = [links([key if on else None for key, on in zip(column, may, strict=True)]) for column in keys]
    return [*by_key, pairs[linking[pairs].all(axis=1)]]


def find_bridges(
    keys: Sequence[Sequence[str | None]], linking: npt.NDArray[np.bool_], pairs: Pairs, parts: Codes
) -> list[int]:
    """Return the new rows that would join groups which an earlier build put into different parts.

    Old rows are admitted first, then new ones, one by one; a new row whose group thereby comes to reach
    into one more part is a bridge.

    Args:
        keys: As for `all_links`.
        linking: As for `all_links`.
        pairs: As for `all_links`.
        parts: The part of each row in the earlier build, or `UNASSIGNED`; shape (N,).
    """
    rows = np.flatnonzero(
        linking & _spans_subsets(components(len(linking), all_links(keys, linking, pairs)), parts)
    )
    if not len(rows):
        return []
    forest = _UnionFind(parts[rows])
    place = {row: position for position, row in enumerate(rows.tolist())}
    near: dict[int, list[int]] = defaultdict(list)
    for one, other in pairs[np.isin(pairs, rows).all(axis=1)].tolist():
        near[place[one]].append(place[other])
        near[place[other]].append(place[one])
    found = []
    new = parts[rows] == UNASSIGNED
    # A stable sort: old rows first, each kind in the order of the source.
    for position in np.argsort(new, kind="stable").tolist():
        row = int(rows[position])
        own = [(kind, column[row]) for kind, column in enumerate(keys) if column[row] is not None]
        if not forest.admit(position, own, near[position], always=not new[position]):
            found.append(row)
    return found


class _UnionFind:
    """Groups that grow row by row, and the parts that each reaches into.

    Args:
        parts: The part of each row in an earlier build, or `UNASSIGNED`; shape (N,).
    """

    def __init__(self, parts: Codes) -> None:
        self._parent = list(range(len(parts)))
        self._parts = [{part} - {UNASSIGNED} for part in parts.tolist()]
        self._holder: dict[tuple[int, str | None], int] = {}  # a row of each key
        self._admitted: set[int] = set()

    def admit(
        self, row: int, keys: Sequence[tuple[int, str | None]], near: Sequence[int], *, always: bool
    ) -> bool:
        """Let a row join what it touches, and tell whether it may: not if that reaches into one more part."""
        touched = {self._root(self._holder[key]) for key in keys if key in self._holder}
        touched |= {self._root(other) for other in near if other in self._admitted}
        most = max((len(self._parts[root]) for root in touched), default=0)
        together = self._parts[row].union(*(self._parts[root] for root in touched))
        if not always and len(together) > max(1, most):
            return False
        for root in touched:
            self._parent[root] = row
        self._parts[row] = together
        self._holder.update(dict.fromkeys(keys, row))
        self._admitted.add(row)
        return True

    def _root(self, row: int) -> int:
        while self._parent[row] != row:
            self._parent[row] = self._parent[self._parent[row]]
            row = self._parent[row]
        return row


def _spans_subsets(group: Codes, parts: Codes) -> npt.NDArray[np.bool_]:
    """Tell of each row whether its group reaches into several parts."""
    old = np.flatnonzero(parts != UNASSIGNED)
    low = np.full(len(group), np.iinfo(np.int64).max)
    high = np.full(len(group), UNASSIGNED)
    np.minimum.at(low, group[old], parts[old])
    np.maximum.at(high, group[old], parts[old])
    return np.asarray(low[group] < high[group])


def links(keys: Sequence[str | None]) -> Pairs:
    """Return pairs that link each row with the first of the same key, shape (M, 2); None links nothing."""
    first: dict[str, int] = {}
    found = [
        (first[key], row)
        for row, key in enumerate(keys)
        if key is not None and first.setdefault(key, row) != row
    ]
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def components(rows: int, pairs: Sequence[Pairs]) -> npt.NDArray[np.int64]:
    """Return the component of each row, shape (rows,), numbered from 0 in the order of first rows."""
    edges = np.concatenate([np.empty((0, 2), dtype=np.int64), *pairs])
    weights = np.ones(len(edges), dtype=np.bool_)
    graph = coo_array((weights, (edges[:, 0], edges[:, 1])), shape=(rows, rows))
    _, found = connected_components(graph, directed=False)
    _, first, inverse = np.unique(found, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[inverse], dtype=np.int64)
