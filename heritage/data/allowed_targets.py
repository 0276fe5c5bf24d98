"""The tables of readers and splits that a saved configuration may name, by exact dotted name."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from heritage.data import readers, split
from heritage.data.module import ArtefactDataModule
from heritage.demo import demo_folder as demo_set_folder

Table = Mapping[str, Callable[..., Any]]

DATA_MODULES: Table = {"heritage.data.ArtefactDataModule": ArtefactDataModule}

READERS: Table = {
    "heritage.data.readers.manifest": readers.manifest,
    "heritage.data.readers.class_folders": readers.class_folders,
    "heritage.data.readers.table": readers.table,
    "heritage.data.readers.demo": readers.demo,
}
SPLITS: Table = {
    "heritage.data.split.by_group": split.by_group,
    "heritage.data.split.by_image": split.by_image,
    "heritage.data.split.by_column": split.by_column,
    "heritage.data.split.by_fold": split.by_fold,
    "heritage.data.split.given": split.given,
    "heritage.data.split.own": split.own,
    "heritage.data.split.whole": split.whole,
}

PARTS: Mapping[str, Table] = {"reader": READERS, "split": SPLITS}
"""Table by key of the group ``data``."""
TAKEN: Mapping[str, tuple[str, ...]] = {"reader": ("root", "classes"), "split": ("manifest",)}
"""Arguments that the data module adds to each."""


def demo_folder(reader: Any, root: Any) -> Path | None:
    """Return where the demo set of a saved configuration would be drawn; None if nothing would be.

    Drawing writes files, which a checkpoint must not do by itself.
    """
    is_demo = isinstance(reader, functools.partial) and reader.func is readers.demo
    if not is_demo or (folder := demo_set_folder(Path(str(root)), **reader.keywords)).is_dir():
        return None
    return folder
