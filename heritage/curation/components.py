"""What belongs together: connected components of links between rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array  # type: ignore[import-untyped]
from scipy.sparse.csgraph import connected_components  # type: ignore[import-untyped]

Pairs = npt.NDArray[np.int64]


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
