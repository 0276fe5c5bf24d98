"""What a photograph must be, taken by itself: readable, large enough, not blank, of a known class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from heritage.core.types import PositiveInt
from heritage.curation.drop_reasons import RowDecisions
from heritage.curation.scan import Inspections

Levels = Annotated[float, Field(ge=0, le=255)]


@dataclass(frozen=True, slots=True)
class Cleaning:
    """Limits that a photograph must keep.

    Attributes:
        min_side: The fewest pixels a side of the raw photograph may have.
        blank_contrast: A photograph is blank where 98 % of it lie within this range in every channel
            (0 to 255). The flattest of 14,223 photographs of ceramics, plain glaze, has 16.
        drop_greyscale: Drop photographs without colours; otherwise they are only marked.
    """

    min_side: PositiveInt
    blank_contrast: Levels
    drop_greyscale: bool

    def apply(
        self,
        decisions: RowDecisions,
        inspections: Inspections,
        labelled: Sequence[str | None],
        expected: Sequence[str | None],
    ) -> None:
        """Drop what cannot or must not be used.

        Args:
            decisions: Where to note it.
            inspections: What was seen of each row.
            labelled: Each row's class.
            expected: The sha256 that a row's raw file must have, where that is known.
        """
        for row, problem in enumerate(inspections.texts("problem")):
            if problem:
                reason, _, detail = problem.partition(": ")
                decisions.drop(row, reason, detail)
        self._drop_changed_or_unlabelled(decisions, inspections, labelled, expected)
        sides = np.minimum(inspections.array("raw_width"), inspections.array("raw_height"))
        for row in np.flatnonzero(sides < self.min_side).tolist():
            size = f"{inspections.table['raw_width'][row]}×{inspections.table['raw_height'][row]}"
            decisions.drop(row, "too small", f"{size}, and {self.min_side} are needed")
        contrast = inspections.array("contrast")
        for row in np.flatnonzero(contrast < self.blank_contrast).tolist():
            decisions.drop(row, "blank", f"contrast {contrast[row]:.0f} of 255")
        if self.drop_greyscale:
            decisions.drop_all(np.flatnonzero(inspections.array("greyscale")), "greyscale")

    @staticmethod
    def _drop_changed_or_unlabelled(
        decisions: RowDecisions,
        inspections: Inspections,
        labelled: Sequence[str | None],
        expected: Sequence[str | None],
    ) -> None:
        checksums = inspections.texts("raw_sha256")
        for row, (label, sought) in enumerate(zip(labelled, expected, strict=True)):
            if sought and checksums[row] and sought != checksums[row]:
                decisions.drop(row, "changed", f"sha256 {checksums[row][:12]}, and {sought[:12]} is expected")
            if not label:
                decisions.drop(row, "no class")
