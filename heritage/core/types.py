"""Constrained types for signatures; `heritage.config.validate` checks configurations against them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

PositiveInt = Annotated[int, Field(ge=1, strict=True)]
NonNegativeInt = Annotated[int, Field(ge=0, strict=True)]
Seed = Annotated[int, Field(ge=0, lt=2**32, strict=True)]
"""Seed of random numbers: NumPy takes no others."""
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegativeFloat = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Probability = Annotated[float, Field(ge=0, le=1)]
Coverage = Annotated[float, Field(ge=0.5, le=0.99)]
"""Promised coverage of prediction sets."""

ImageSize = Annotated[int, Field(ge=1, le=4096, strict=True)]
"""Pixels per side of a network's input."""
CropPct = Annotated[float, Field(gt=0, le=1)]
"""Fraction of each side of an image that the central crop keeps."""
# No half or double precision weights: images are normalised to float32.
Precision = Literal["auto", "32-true", "bf16-mixed", "16-mixed"]
