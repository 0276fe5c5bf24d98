"""Decisions on rows: kept, or dropped for a reason."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

log = logging.getLogger(__name__)

REASONS: dict[str, str] = {
    "missing": "The file that the table names does not exist.",
    "unreadable": "The file is damaged, too large, or not an image.",
    "changed": "The file has another checksum than in the manifest.",
    "no class": "Neither the table nor the file name gives a class.",
    "collector": "The collector dropped it.",
    "override": "A curator dropped it.",
    "too small": "A side has fewer pixels than cleaning.min_side.",
    "blank": "It is nearly of one colour.",
    "greyscale": "It has no colours, and cleaning.drop_greyscale is set.",
    "placeholder": "The same image is on many objects: a museum's “no photograph” card.",
    "label conflict": "The same photograph has several classes.",
    "repeated": "The same file is in the source twice.",
    "duplicate": "It is identical to another file.",
    "near-duplicate": "It is the same photograph as another one, saved differently.",
    "bridge": "It would join groups that are already in different splits.",
    "museum overlap": "Its group also has photographs from a test museum.",
}
"""The reasons for dropping a photograph, explained; the first that applies is recorded."""

_OPTIONS = {
    "override": "overrides",
    "too small": "cleaning.min_side",
    "blank": "cleaning.blank_contrast",
    "greyscale": "cleaning.drop_greyscale",
    "placeholder": "duplicates.placeholder_objects",
    "label conflict": "duplicates.conflict",
    "duplicate": "duplicates.exact",
    "near-duplicate": "duplicates.near",
    "museum overlap": "split.museums",
}

_FINAL = ("missing", "unreadable", "changed", "no class", "repeated")  # not overruled by a decision to keep


class RowDecisions:
    """The decision on each row; the first reason to drop it is final.

    Args:
        rows: Number of rows.
    """

    def __init__(self, rows: int) -> None:
        self._reasons: list[str] = [""] * rows
        self._details: list[str] = [""] * rows
        self._protected = np.zeros(rows, dtype=np.bool_)

    def __len__(self) -> int:
        return len(self._reasons)

    @property
    def kept(self) -> npt.NDArray[np.bool_]:
        """Mask of the rows that are kept so far, shape (N,)."""
        return np.array([not reason for reason in self._reasons], dtype=np.bool_)

    def reason(self, row: int) -> str:
        """Return the reason for which a row is dropped; empty if it is kept."""
        return self._reasons[row]

    def text(self, row: int) -> str | None:
        """Return reason and detail, as in the manifest; None if the row is kept."""
        reason, detail = self._reasons[row], self._details[row]
        if not reason:
            return None
        return f"{reason}: {detail}" if detail else reason

    def protect(self, row: int) -> None:
        """Keep a row whatever the rules, unless it is unusable."""
        self._protected[row] = True

    def is_protected(self, row: int) -> bool:
        """Return whether a curator decided to keep a row."""
        return bool(self._protected[row])

    def drop(self, row: int, reason: str, detail: str = "") -> None:
        """Drop a row, unless it has been dropped or is protected.

        Raises:
            ValueError: The reason is not one of `REASONS`.
        """
        if reason not in REASONS:
            raise ValueError(f"'{reason}' is not one of REASONS")
        if self._reasons[row] or (self._protected[row] and reason not in _FINAL):
            return
        self._reasons[row], self._details[row] = reason, detail

    def drop_all(self, rows: Iterable[int], reason: str, detail: str = "") -> None:
        """Drop several rows for the same reason."""
        for row in rows:
            self.drop(int(row), reason, detail)

    def counts(self) -> dict[str, int]:
        """Count dropped rows by reason, in the order of `REASONS`."""
        counted = Counter(self._reasons)
        return {reason: counted[reason] for reason in REASONS if counted[reason]}


def vanished_classes(
    decisions: RowDecisions, labels: Sequence[str | None], classes: Sequence[str]
) -> list[str]:
    """Return a remark on each class that lost every photograph, with the options that set the rules.

    Args:
        decisions: The decision on each row.
        labels: The class of each row.
        classes: The class list.
    """
    rows_of: dict[str | None, list[int]] = defaultdict(list)
    for row, label in enumerate(labels):
        rows_of[label].append(row)
    remarks = []
    for name in classes:
        counts = Counter(decisions.reason(row) for row in rows_of[name])
        if rows_of[name] and not counts[""]:
            reasons = ", ".join(
                f"{count:,} {reason}" + (f" ({_OPTIONS[reason]})" if reason in _OPTIONS else "")
                for reason, count in counts.most_common()
                if count
            )
            remarks.append(f"All {len(rows_of[name]):,} photographs of {name} were dropped: {reasons}.")
            log.warning("%s", remarks[-1])
    return remarks
