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
        verdicts: RowDecisions,
        sights: Inspections,
        labelled: Sequence[str | None],
        expected: Sequence[str | None],
    ) -> None:
        """Drop what cannot or must not be used.

        Args:
            verdicts: Where to note it.
            sights: What was seen of each row.
            labelled: Each row's class.
            expected: The sha256 that a row's raw file must have, where that is known.
        """
        for row, problem in enumerate(sights.texts("problem")):
            if problem:
                reason, _, detail = problem.partition(": ")
                verdicts.drop(row, reason, detail)
        self._refuse_strangers(verdicts, sights, labelled, expected)
        sides = np.minimum(sights.array("raw_width"), sights.array("raw_height"))
        for row in np.flatnonzero(sides < self.min_side).tolist():
            size = f"{sights.table['raw_width'][row]}×{sights.table['raw_height'][row]}"
            verdicts.drop(row, "too small", f"{size}, and {self.min_side} are needed")
        contrast = sights.array("contrast")
        for row in np.flatnonzero(contrast < self.blank_contrast).tolist():
            verdicts.drop(row, "blank", f"contrast {contrast[row]:.0f} of 255")
        if self.drop_greyscale:
            verdicts.drop_all(np.flatnonzero(sights.array("greyscale")), "greyscale")

    @staticmethod
    def _refuse_strangers(
        verdicts: RowDecisions,
        sights: Inspections,
        labelled: Sequence[str | None],
        expected: Sequence[str | None],
    ) -> None:
        checksums = sights.texts("raw_sha256")
        for row, (label, sought) in enumerate(zip(labelled, expected, strict=True)):
            if sought and checksums[row] and sought != checksums[row]:
                verdicts.drop(row, "changed", f"sha256 {checksums[row][:12]}, and {sought[:12]} is expected")
            if not label:
                verdicts.drop(row, "no class")
