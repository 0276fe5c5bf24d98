"""What a build is told: where to write, and by which rules."""

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
    """How to curate.

    Attributes:
        out: The data set's folder.
        classes: The class list; None takes the classes that are found.
        overrides: A curator's decisions.
        cleaning: What a photograph must be.
        duplicates: What becomes of the same photograph.
        groups: What belongs together.
        split: Who trains and who tests.
        resize: How photographs become squares.
        pack: Whether to write pre-decoded images too.
        workers: Processes.
        configuration: The whole configuration, for the record.
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
