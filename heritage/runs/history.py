"""Read and write ``history.csv``: one row per epoch, independent of the logger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from heritage.core.csv_files import CsvError, csv_of_records, read_records
from heritage.core.files import write_text
from heritage.errors import CheckpointError
from heritage.runs.files import HISTORY_FILE


def read_history(folder: Path) -> list[dict[str, float]]:
    """Return the rows of a run folder's ``history.csv``; empty if there is no file.

    Raises:
        CheckpointError: The file is damaged.
    """
    path = folder / HISTORY_FILE
    if not path.is_file():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [
                {name: float(value) for name, value in row.items() if value} for row in read_records(file)
            ]
    except (OSError, ValueError, CsvError) as error:
        raise _damaged(path, str(error)) from error
    if any("epoch" not in row for row in rows):
        raise _damaged(path, "a row without an epoch")
    return rows


def write_history(rows: Sequence[Mapping[str, float]], folder: Path) -> Path:
    """Write ``history.csv`` into a run folder, atomically."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    # writes integers without a decimal point: epoch 3, not 3.0
    written = ({name: f"{value:.12g}" for name, value in row.items()} for row in rows)
    path = folder / HISTORY_FILE
    write_text(path, csv_of_records(names, written))
    return path


def _damaged(path: Path, reason: str) -> CheckpointError:
    return CheckpointError(f"unreadable ({reason})", where=path, remedy="restore the file or remove it")
