"""What the server accepts before it says no, so that no stranger can fill its memory or its time."""

from __future__ import annotations

from dataclasses import dataclass

from heritage.core.image_io import MAX_PIXELS
from heritage.core.types import PositiveFloat, PositiveInt
from heritage.errors import ConfigError

MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Limits:
    """Bounds of what is accepted.

    Attributes:
        megabytes: Of one request, all its pictures together.
        megapixels: Of one picture.
        pictures: In one request.
        held_megabytes: Of all uploads that are held in memory at a time.
        waiting: Pictures that wait for the network at a time.
        upload_seconds: For the whole of a request to arrive.
        answer_seconds: For its answer.
        connections: Open at a time.
        per_minute: Requests of one address; None does not count them.
    """

    megabytes: PositiveFloat
    megapixels: PositiveFloat
    pictures: PositiveInt
    held_megabytes: PositiveFloat
    waiting: PositiveInt
    upload_seconds: PositiveFloat
    answer_seconds: PositiveFloat
    connections: PositiveInt
    per_minute: PositiveInt | None

    def __post_init__(self) -> None:
        if self.megapixels * 1e6 > MAX_PIXELS:
            raise ConfigError(
                f"more than the {MAX_PIXELS / 1e6:.1f} that are ever decoded",
                where=f"limits.megapixels={self.megapixels:g}",
                remedy="lower it",
            )
        if self.held_megabytes < self.megabytes:
            raise ConfigError(
                "less than one request may have",
                where=f"limits.held_megabytes={self.held_megabytes:g}",
                remedy="raise it, or lower limits.megabytes",
            )
