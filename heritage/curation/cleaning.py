"""Quality filters for single photographs: readable, unchanged, of a known class, large enough, not blank."""

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
    """Thresholds of the quality filters.

    Attributes:
        min_side: Minimum length of the shorter side of the raw photograph, in pixels.
        blank_contrast: A photograph is blank if 98 % of its pixels are within this range in every channel (0
            to 255). The flattest of 14,223 photographs of ceramics, plain glaze, has 16.
        drop_greyscale: Drop photographs without colours; otherwise they are only marked.
    """

    min_side: PositiveInt
    blank_contrast: Levels
    drop_greyscale: bool

    def apply(
        self,
        decisions: RowDecisions,
        inspections: Inspections,
        labels: Sequence[str | None],
        expected: Sequence[str | None],
    ) -> None:
        """Drop unusable photographs.

        Args:
            decisions: The decisions to add to.
            inspections: The inspection of each row.
            labels: The class of each row.
            expected: The SHA-256 that each row's raw file must have; None if unknown.
        """
        for row, problem in enumerate(inspections.texts("problem")):
            if problem:
                reason, _, detail = problem.partition(": ")
                decisions.drop(row, reason, detail)
        checksums = inspections.texts("raw_sha256")
        for row, (label, checksum) in enumerate(zip(labels, expected, strict=True)):
            if checksum and checksums[row] and checksum != checksums[row]:
                detail = f"sha256 is {checksums[row][:12]} instead of {checksum[:12]}"
                decisions.drop(row, "changed", detail)
            if not label:
                decisions.drop(row, "no class")
        sides = np.minimum(inspections.array("raw_width"), inspections.array("raw_height"))
        for row in np.flatnonzero(sides < self.min_side).tolist():
            size = f"{inspections.table['raw_width'][row]}×{inspections.table['raw_height'][row]}"
            decisions.drop(row, "too small", f"{size} pixels, at least {self.min_side} are required")
        contrast = inspections.array("contrast")
        for row in np.flatnonzero(contrast < self.blank_contrast).tolist():
            decisions.drop(row, "blank", f"contrast {contrast[row]:.0f} of 255")
        if self.drop_greyscale:
            decisions.drop_all(np.flatnonzero(inspections.array("greyscale")), "greyscale")
