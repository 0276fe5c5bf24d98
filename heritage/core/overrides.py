"""Overrides: a CSV of a curator's decisions, applied at every build.

Its columns are ``file`` (the raw file, as in the report), ``decision`` (drop, keep or relabel), ``class``
(for relabel) and, optionally, ``sha256`` (the checksum of the photograph or its beginning; the override is
stale if the photograph changes) and ``note``. A row without a decision, such as a suggestion of `heritage
evaluate`, changes nothing. Suggestions of earlier versions have the decision ``relabel`` although nobody made
it; they are recognised by their note, and change nothing either (`count_unconfirmed`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from heritage.core.labels import clean_label
from heritage.core.table_reader import read_table
from heritage.core.taxonomy import suggestion
from heritage.errors import DatasetNotFoundError, ManifestError

Decision = Literal["drop", "keep", "relabel"]
COLUMNS = ("file", "decision", "class", "sha256", "note")
SUGGESTED = "suggested by a network: "
"""The beginning of the note of a suggestion. Notes of earlier versions lack it."""
_EARLIER_NOTE = re.compile(r"labelled .+ \(\d+\.\d%\), looks like (?P<label>.+) \(\d+\.\d%\)")


@dataclass(frozen=True, slots=True)
class Override:
    """A decision on one photograph.

    Attributes:
        file: The raw file.
        decision: ``drop``, ``keep`` or ``relabel``.
        label: The new class, for ``relabel``.
        sha256: The beginning of the photograph's checksum, or empty.
        note: A remark.
    """

    file: str
    decision: Decision
    label: str | None
    sha256: str
    note: str


def read_overrides(path: Path | None, classes: Sequence[str]) -> dict[str, Override]:
    """Read a file of overrides.

    Args:
        path: The file; None returns no overrides.
        classes: The class list.

    Returns:
        The overrides by raw file; rows without a decision, or without a person's, are left out.

    Raises:
        DatasetNotFoundError: There is no such file.
        ManifestError: A column is missing, a decision or class is unknown, or a file has two decisions.
    """
    if path is None:
        return {}
    if not path.is_file():
        raise DatasetNotFoundError("no such file of overrides", where=path, remedy="correct overrides=")
    overrides: dict[str, Override] = {}
    rows = _rows(path)
    unconfirmed = _unconfirmed(rows)
    for line, row in enumerate(rows, start=2):
        if not _decided(row) or line - 2 in unconfirmed:
            continue
        override = _parse(row, f"{path} line {line}", classes)
        if override.file in overrides:
            raise ManifestError(
                f"'{override.file}' has two decisions",
                where=f"{path} line {line}",
                remedy="keep one of the lines",
            )
        overrides[override.file] = override
    return overrides


def count_undecided(path: Path | None) -> int:
    """Return the number of rows without a decision in a file that `read_overrides` has read."""
    return 0 if path is None else sum(not _decided(row) for row in _rows(path))


def count_unconfirmed(path: Path | None) -> int:
    """Return the number of rows that an earlier version of `heritage evaluate` decided, and no person.

    It wrote ``relabel`` into every suggested row. A row counts as decided by a person after its note was
    changed or removed, and in a file that has suggestions without a decision.
    """
    return 0 if path is None else len(_unconfirmed(_rows(path)))


def _unconfirmed(rows: Sequence[Mapping[str, str | None]]) -> set[int]:
    """Return the positions of the rows that `count_unconfirmed` counts."""
    suggested = {
        position
        for position, row in enumerate(rows)
        if (note := _EARLIER_NOTE.fullmatch((row.get("note") or "").strip()))
        and clean_label(note["label"]) == clean_label(row.get("class") or "")
    }
    if any(not _decided(rows[position]) for position in suggested):
        return set()
    return {row for row in suggested if (rows[row]["decision"] or "").strip().lower() == "relabel"}


def _rows(path: Path) -> list[dict[str, str | None]]:
    table = read_table(path, COLUMNS)
    if missing := [name for name in ("file", "decision") if name not in table.column_names]:
        raise ManifestError(
            f"no column {', '.join(missing)} (there are: {', '.join(table.column_names)})",
            where=path,
            remedy=f"its columns are {', '.join(COLUMNS)}",
        )
    rows: list[dict[str, str | None]] = table.to_pylist()
    return rows


def _decided(row: Mapping[str, str | None]) -> bool:
    return bool((row["decision"] or "").strip())


def stale_overrides(
    overrides: Mapping[str, Override], checksums: Mapping[str, str | None], labels: Mapping[str, str | None]
) -> dict[str, str]:
    """Return the reasons for which overrides do not apply, by raw file.

    Args:
        overrides: The overrides by raw file.
        checksums: The SHA-256 of each existing raw file; None if it is unreadable.
        labels: The class of each raw file before any override.
    """
    reasons = {}
    for file, override in overrides.items():
        if file not in checksums:
            reasons[file] = "the file no longer exists"
        elif override.sha256 and not (checksums[file] or "").startswith(override.sha256):
            reasons[file] = "the photograph has changed since the decision"
        elif override.decision == "relabel" and labels[file] == override.label:
            reasons[file] = f"it already has the class {override.label}"
    return reasons


def _parse(row: dict[str, str | None], where: str, classes: Sequence[str]) -> Override:
    file, decision, label = row["file"], row["decision"], row.get("class")
    decision = None if decision is None else decision.strip().lower()
    label = None if label is None else clean_label(label)
    if not file:
        raise ManifestError("no file", where=where, remedy="name the raw file as the report shows it")
    if decision not in get_args(Decision):
        raise ManifestError(
            f"unknown decision '{decision or ''}'",
            where=where,
            remedy=suggestion(decision or "", get_args(Decision)),
        )
    if decision == "relabel" and label not in classes:
        raise ManifestError(
            f"cannot relabel to '{label or ''}'",
            where=where,
            remedy=suggestion(label or "", classes),
        )
    return Override(
        file,
        cast("Decision", decision),
        label if decision == "relabel" else None,
        (row.get("sha256") or "").strip().lower(),
        row.get("note") or "",
    )
