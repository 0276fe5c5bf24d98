"""Read and write ``history.csv``: one row per epoch, independent of the logger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from heritage.core.csv_files import csv_of_records, read_records
from heritage.core.files import write_text
from heritage.runs.files import HISTORY_FILE


def read_history(folder: Path) -> list[dict[str, float]]:
    """Return the rows of a run folder's ``history.csv``; empty if there is no file."""
    path = folder / HISTORY_FILE
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [{name: float(value) for name, value in row.items() if value} for row in read_records(file)]


def write_history(rows: Sequence[Mapping[str, float]], folder: Path) -> Path:
    """Write ``history.csv`` into a run folder, atomically."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    # writes integers without a decimal point: epoch 3, not 3.0
    written = ({name: f"{value:.12g}" for name, value in row.items()} for row in rows)
    path = folder / HISTORY_FILE
    write_text(path, csv_of_records(names, written))
    return path
