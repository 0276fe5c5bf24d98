"""What an audit says: a verdict in words that a curator understands, and the numbers behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Audit:
    """The outcome of one audit.

    Attributes:
        key: Its name in ``metrics.json``.
        name: Its heading.
        verdict: The outcome, a short sentence.
        words: What was done and what the number means.
        good: Whether the verdict is reassuring.
        head: The heads of the table's columns.
        rows: The table.
        record: The numbers, as plain data.
    """

    key: str
    name: str
    verdict: str
    words: str
    good: bool
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    record: Mapping[str, Any] = field(default_factory=dict)
