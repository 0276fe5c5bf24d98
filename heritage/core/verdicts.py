"""Verdicts: a CSV of reviewers' judgements of predictions, made on the page of `heritage serve`.

Each line is one verdict on one photograph, and lines are only ever added. Its columns are `COLUMNS`: the time
(UTC), the SHA-256 and size of the uploaded file, its name, the network's most probable class with its
probability and whether it was unsure, the verdict, the right class, the reviewer, and the beginning of the
SHA-256 of the network's weights. `heritage curate` replays them (`heritage.curation.verdicts`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from heritage.core.labels import clean_label
from heritage.core.table_reader import read_table
from heritage.core.taxonomy import suggestion
from heritage.errors import DatasetNotFoundError, ManifestError

Judgement = Literal["right", "wrong", "unknown"]
"""Whether the most probable class is right; ``unknown``: the reviewer does not know."""

COLUMNS = (
    "time", "sha256", "bytes", "file", "prediction", "probability", "unsure", "verdict", "class", "reviewer",
    "network",
)  # fmt: skip
VERDICTS_FILE = "verdicts.csv"

_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Verdict:
    """A verdict on a photograph.

    Attributes:
        time: When it was given, as text that sorts by time.
        sha256: The SHA-256 of the file.
        size: The size of the file in bytes; None if the table lost it.
        file: The name of the file.
        judgement: Whether the network's most probable class is right.
        label: The right class; None if the reviewer gave none.
        reviewer: The reviewer's name, or empty.
    """

    time: str
    sha256: str
    size: int | None
    file: str
    judgement: Judgement
    label: str | None
    reviewer: str


def read_verdicts(path: Path | None, classes: Sequence[str]) -> list[Verdict]:
    """Read a file of verdicts.

    Args:
        path: The file; None returns no verdicts.
        classes: The class list.

    Returns:
        The verdicts in the order of the file.

    Raises:
        DatasetNotFoundError: There is no such file.
        ManifestError: A column is missing, or a checksum, verdict or class is invalid.
    """
    if path is None:
        return []
    if not path.is_file():
        raise DatasetNotFoundError("no such file of verdicts", where=path, remedy="correct verdicts=")
    needed = ("sha256", "verdict", "class")
    table = read_table(path, COLUMNS)
    if missing := [name for name in needed if name not in table.column_names]:
        raise ManifestError(
            f"no column {', '.join(missing)} (there are: {', '.join(table.column_names)})",
            where=path,
            remedy="give a file that `heritage serve verdicts=…` wrote",
        )
    return [_parse(row, f"{path} line {line}", classes) for line, row in enumerate(table.to_pylist(), 2)]


def _parse(row: dict[str, str | None], where: str, classes: Sequence[str]) -> Verdict:
    cells = {name: (row.get(name) or "").strip() for name in COLUMNS}
    judgement, label = cells["verdict"].lower(), clean_label(cells["class"])
    sha256 = cells["sha256"].lower()
    if not _SHA256.fullmatch(sha256):
        raise ManifestError("no SHA-256 of a photograph", where=where, remedy="restore or remove the line")
    if judgement not in get_args(Judgement):
        raise ManifestError(
            f"unknown verdict '{judgement}'",
            where=where,
            remedy=suggestion(judgement, get_args(Judgement)),
        )
    if label and label not in classes:
        raise ManifestError(f"unknown class '{label}'", where=where, remedy=suggestion(label, classes))
    size = cells["bytes"]
    return Verdict(
        cells["time"],
        sha256,
        int(size) if re.fullmatch("[0-9]{1,15}", size) else None,
        cells["file"],
        cast("Judgement", judgement),
        (label or None) if judgement != "unknown" else None,
        cells["reviewer"],
    )
