"""The options of a build."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from heritage.core.resizing import Resizing
from heritage.curation.cleaning import Cleaning
from heritage.curation.duplicates import Duplicates
from heritage.curation.groups import Grouping
from heritage.curation.splits import Splitting


@dataclass(frozen=True)
class CurationOptions:
    """The options of a build, as in ``conf/curate.yaml``.

    Attributes:
        out: The data set's folder.
        classes: The class list; None takes the source's, or the classes that occur.
        overrides: The file of the curator's decisions; None looks for one in ``out``.
        verdicts: The file of verdicts of `heritage serve`; None looks for one in ``out``.
        cleaning: Quality filters for single photographs.
        duplicates: How duplicates are found and handled.
        groups: How photographs are grouped.
        split: How groups are split.
        resize: How photographs are resized.
        pack: Whether to write pre-decoded images as well.
        workers: Number of processes.
        configuration: The resolved configuration, for ``dataset.json``.
    """

    out: Path
    classes: Sequence[str] | None
    overrides: Path | None
    cleaning: Cleaning
    duplicates: Duplicates
    groups: Grouping
    split: Splitting
    resize: Resizing
    pack: bool
    workers: int
    configuration: Mapping[str, Any]
    verdicts: Path | None = None
