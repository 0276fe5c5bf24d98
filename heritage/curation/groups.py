"""Groups: what a split must not tear apart.

Photographs belong together where they show the same object, are the same photograph, are
near-duplicates, or share any column that the configuration names (the lot, say): the connected
components of all these links.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from heritage.curation.components import components, links
from heritage.errors import ConfigError
from heritage.splitting import NEW
from heritage.taxonomy import nearest

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


def link_all(
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


def bridges(
    keys: Sequence[Sequence[str | None]], linking: npt.NDArray[np.bool_], pairs: Pairs, parts: Codes
) -> list[int]:
    """Return the new rows that would join groups which an earlier build put into different parts.

    Old rows are admitted first, then new ones, one by one; a new row whose group thereby comes to reach
    into one more part is a bridge.

    Args:
        keys: As for `link_all`.
        linking: As for `link_all`.
        pairs: As for `link_all`.
        parts: The part of each row in the earlier build, or `NEW`; shape (N,).
    """
    rows = np.flatnonzero(linking & _torn(components(len(linking), link_all(keys, linking, pairs)), parts))
    if not len(rows):
        return []
    place = np.full(len(linking), -1)
    place[rows] = np.arange(len(rows))
    inner = place[pairs]
    inner = inner[(inner >= 0).all(axis=1)]
    few = [[column[row] for row in rows.tolist()] for column in keys]
    own = parts[rows]
    admitted = own != NEW
    found = []
    for row in np.flatnonzero(own == NEW).tolist():
        apart = components(len(rows), link_all(few, admitted, inner))
        admitted[row] = True
        joined = components(len(rows), link_all(few, admitted, inner))
        around = joined == joined[row]
        most = max(len(set(own[apart == one]) - {NEW}) for one in set(apart[around].tolist()))
        if len(set(own[around]) - {NEW}) > max(1, most):
            admitted[row] = False
            found.append(int(rows[row]))
    return found


def _torn(group: Codes, parts: Codes) -> npt.NDArray[np.bool_]:
    """Tell of each row whether its group reaches into several parts."""
    old = np.flatnonzero(parts != NEW)
    low = np.full(len(group), np.iinfo(np.int64).max)
    high = np.full(len(group), NEW)
    np.minimum.at(low, group[old], parts[old])
    np.maximum.at(high, group[old], parts[old])
    return np.asarray(low[group] < high[group])
