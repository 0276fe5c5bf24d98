"""Open a feature store from Python."""

from __future__ import annotations

from os import PathLike, fspath
from pathlib import Path

from heritage.errors import ArgumentError
from heritage.features.store import FeatureStore, read_store


def open_features(folder: str | PathLike[str]) -> FeatureStore:
    """Open a complete feature store of ``heritage embed``, without torch and without the data set.

    Args:
        folder: The store's folder.

    Returns:
        The store: ``features``, a memory map (N, D) of float32 or float16 in which images without features
        are NaN; ``table``, an Arrow table with the columns ``image_id`` and ``file``, (N); ``unreadable`` and
        ``not_finite``, the files of the images without features; and ``key``, what it was computed from.

    Raises:
        DataError: It is not a store, it is damaged, or rows are missing.
        ArgumentError: ``folder`` is no path.

    Example:
        >>> folder = heritage.run("embed", ckpt=run_folder, out="features", quiet=True).folder
        >>> store = heritage.open_features(folder)
        >>> store.features.shape == (len(store.table), store.width)
        True
        >>> store.table.column_names[:2], store.unreadable
        (['image_id', 'file'], [])
    """
    if not isinstance(folder, str | PathLike):
        raise ArgumentError(
            f"a folder is a path, not {type(folder).__name__}", where="folder", remedy="give a path"
        )
    store = read_store(Path(fspath(folder)))
    store.require_complete()
    return store
