"""Which photographs are kept, and why the others are not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

REASONS: dict[str, str] = {
    "missing": "The table names a file that is not there.",
    "unreadable": "The file is damaged, too large or no picture.",
    "changed": "The file is not the one that the manifest was made from.",
    "no class": "Neither the table nor the file name says what it is.",
    "collector": "The collector marked it so.",
    "override": "A curator decided to drop it.",
    "too small": "A side has fewer pixels than cleaning.min_side.",
    "blank": "Nearly one colour everywhere.",
    "greyscale": "It has no colours, and cleaning.drop_greyscale is set.",
    "placeholder": "The same picture stands for many objects: a museum's “no photograph” card.",
    "label conflict": "The same photograph has several classes.",
    "repeated": "The same file stands in the source twice.",
    "duplicate": "The same file, byte for byte, as another one.",
    "near-duplicate": "The same photograph as another one, saved otherwise.",
    "bridge": "It would join groups that are in different splits already.",
    "torn": "Its group reaches into the museum that is tested on.",
}
"""The reasons for which a photograph is dropped; the first that holds is the one recorded."""

_FINAL = ("missing", "unreadable", "changed", "no class", "repeated")  # no decision can keep these


class RowDecisions:
    """What is decided about each row; the first reason stays.

    Args:
        rows: How many rows there are.
    """

    def __init__(self, rows: int) -> None:
        self._reasons: list[str] = [""] * rows
        self._details: list[str] = [""] * rows
        self._protected = np.zeros(rows, dtype=np.bool_)

    def __len__(self) -> int:
        return len(self._reasons)

    @property
    def kept(self) -> npt.NDArray[np.bool_]:
        """Which rows are kept so far, shape (N,)."""
        return np.array([not reason for reason in self._reasons], dtype=np.bool_)

    def reason(self, row: int) -> str:
        """Return the reason for which a row is dropped, or nothing."""
        return self._reasons[row]

    def text(self, row: int) -> str | None:
        """Return reason and detail as the manifest has them; None for a row that is kept."""
        reason, detail = self._reasons[row], self._details[row]
        if not reason:
            return None
        return f"{reason}: {detail}" if detail else reason

    def protect(self, row: int) -> None:
        """Keep a row against all rules, as far as it can be kept."""
        self._protected[row] = True

    def is_protected(self, row: int) -> bool:
        """Tell whether a curator decided to keep a row."""
        return bool(self._protected[row])

    def drop(self, row: int, reason: str, detail: str = "") -> None:
        """Drop a row, unless it is dropped already or protected."""
        if reason not in REASONS:
            raise ValueError(f"'{reason}' is not among the reasons")
        if self._reasons[row] or (self._protected[row] and reason not in _FINAL):
            return
        self._reasons[row], self._details[row] = reason, detail

    def drop_all(self, rows: Iterable[int], reason: str, detail: str = "") -> None:
        """Drop several rows for the same reason."""
        for row in rows:
            self.drop(int(row), reason, detail)

    def counts(self) -> dict[str, int]:
        """Return how many rows each reason has, in the order of `REASONS`."""
        found = Counter(self._reasons)
        return {reason: found[reason] for reason in REASONS if found[reason]}
