"""A curator's decisions: a small CSV that is replayed at each build, and reported where it is stale.

Its columns are ``file`` (as the report shows it), ``decision`` (drop, keep or relabel), ``class`` (for
relabel), and, optionally, ``sha256`` (the beginning of the photograph's, as the report writes it: the
decision then holds for this photograph alone) and ``note``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from heritage.core.tables import read_table
from heritage.core.taxonomy import nearest
from heritage.errors import DatasetNotFoundError, ManifestError

Decision = Literal["drop", "keep", "relabel"]
COLUMNS = ("file", "decision", "class", "sha256", "note")


@dataclass(frozen=True, slots=True)
class Override:
    """One decision."""

    file: str
    decision: Decision
    to: str | None
    sha256: str
    note: str


def read_overrides(path: Path | None, classes: Sequence[str]) -> dict[str, Override]:
    """Read decisions, by file; none where there is no path.

    Raises:
        DatasetNotFoundError: There is no such file.
        ManifestError: A column is missing, a decision or class is unknown, or a file is decided twice.
    """
    if path is None:
        return {}
    if not path.is_file():
        raise DatasetNotFoundError("no such file of overrides", where=path, remedy="correct overrides=")
    table = read_table(path)
    if missing := [name for name in ("file", "decision") if name not in table.column_names]:
        raise ManifestError(
            f"no column {', '.join(missing)} (there are: {', '.join(table.column_names)})",
            where=path,
            remedy=f"its columns are {', '.join(COLUMNS)}",
        )
    found: dict[str, Override] = {}
    for line, row in enumerate(table.to_pylist(), start=2):
        override = _override(row, f"{path} line {line}", classes)
        if override.file in found:
            raise ManifestError(
                f"'{override.file}' is decided twice",
                where=f"{path} line {line}",
                remedy="keep one of the lines",
            )
        found[override.file] = override
    return found


def stale(
    overrides: Mapping[str, Override], checksums: Mapping[str, str | None], labelled: Mapping[str, str | None]
) -> dict[str, str]:
    """Return the decisions that no longer apply, by file, each with the reason.

    Args:
        overrides: The decisions.
        checksums: The sha256 of each raw file there is (None: unreadable).
        labelled: Each raw file's class before any decision.
    """
    reasons = {}
    for file, override in overrides.items():
        if file not in checksums:
            reasons[file] = "there is no such file any more"
        elif override.sha256 and not (checksums[file] or "").startswith(override.sha256):
            reasons[file] = "the photograph has changed since it was decided on"
        elif override.decision == "relabel" and labelled[file] == override.to:
            reasons[file] = f"it is labelled {override.to} already"
    return reasons


def _override(row: dict[str, str | None], where: str, classes: Sequence[str]) -> Override:
    file, decision, to = row["file"], row["decision"], row.get("class")
    if not file:
        raise ManifestError("no file", where=where, remedy="name the raw file as the report shows it")
    if decision not in get_args(Decision):
        near = nearest(decision or "", get_args(Decision))
        raise ManifestError(
            f"unknown decision '{decision or ''}'",
            where=where,
            remedy=f"did you mean {near}?" if near else f"use {', '.join(get_args(Decision))}",
        )
    if decision == "relabel" and to not in classes:
        near = nearest(to or "", classes)
        raise ManifestError(
            f"cannot relabel to '{to or ''}'",
            where=where,
            remedy=f"did you mean {near}?" if near else f"use one of {', '.join(classes)}",
        )
    return Override(
        file,
        cast("Decision", decision),
        to if decision == "relabel" else None,
        (row.get("sha256") or "").strip().lower(),
        row.get("note") or "",
    )
