"""The result of an audit, and ``audits.json``: the audits of a run on its own test split."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from heritage.core.files import write_text
from heritage.core.json_files import read_json_file
from heritage.errors import CheckpointError
from heritage.runs.files import AUDITS_FILE


@dataclass(frozen=True)
class AuditResult:
    """The result of one audit.

    Attributes:
        key: Name in ``metrics.json``.
        name: Heading.
        verdict: The result in a short sentence.
        words: Explanation and values.
        good: Whether the audit found no problem.
        head: Column names of the table.
        rows: Rows of the table.
        record: The values as plain data.
    """

    key: str
    name: str
    verdict: str
    words: str
    good: bool
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    record: Mapping[str, Any] = field(default_factory=dict)


def write_audits(audits: Sequence[AuditResult], folder: Path) -> Path:
    """Write ``audits.json`` into a run folder, atomically."""
    path = folder / AUDITS_FILE
    content = [asdict(one) for one in audits]
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    return path


def read_audits(folder: Path) -> list[AuditResult]:
    """Return the audits of a run folder; empty if there is no file.

    Raises:
        CheckpointError: The file is damaged.
    """
    path = folder / AUDITS_FILE
    if not path.is_file():
        return []
    try:
        return [AuditResult(**one) for one in read_json_file(path, list[AuditResult])]
    except (OSError, ValueError, TypeError) as error:  # TypeError: a key of another version
        raise CheckpointError(
            f"unreadable audits ({error})", where=path, remedy="write them again with `heritage evaluate`"
        ) from error
