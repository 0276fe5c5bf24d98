"""Read and write ``history.csv``: one row per epoch, whatever logger is chosen."""

from __future__ import annotations

import csv
import io
from pathlib import Path


def read_history(path: Path) -> list[dict[str, float]]:
    """Return the rows of a ``history.csv``; what an epoch did not log is left out of its row."""
    with path.open(encoding="utf-8", newline="") as file:
        return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]


def history_csv(rows: list[dict[str, float]]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    # Counts are written as such: `epoch` 3, not 3.0.
    writer.writerows({name: f"{value:.12g}" for name, value in row.items()} for row in rows)
    return text.getvalue()
