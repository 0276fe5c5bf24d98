"""Limits of requests, so that no client can exhaust the server's memory or time."""

from __future__ import annotations

from dataclasses import dataclass

from heritage.core.image_io import MAX_PIXELS
from heritage.core.types import PositiveFloat, PositiveInt
from heritage.errors import ConfigError

MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Limits:
    """Limits of requests.

    Attributes:
        megabytes: Size of a request with all its images.
        megapixels: Size of one image.
        pictures: Number of images in a request.
        held_megabytes: Size of all uploads held in memory at a time.
        waiting: Number of images that are being predicted or queued at a time.
        upload_seconds: Time for a request to arrive.
        response_seconds: Time for its response.
        connections: Number of open connections.
        connections_per_address: Number of open connections of one client address (of one /64 network with
            IPv6); None is unlimited.
        per_minute: Rate limit: requests per minute and client address; None is unlimited.
        verdicts_per_minute: Verdicts per minute and client address.
    """

    megabytes: PositiveFloat
    megapixels: PositiveFloat
    pictures: PositiveInt
    held_megabytes: PositiveFloat
    waiting: PositiveInt
    upload_seconds: PositiveFloat
    response_seconds: PositiveFloat
    connections: PositiveInt
    per_minute: PositiveInt | None
    connections_per_address: PositiveInt | None = None
    verdicts_per_minute: PositiveInt = 60

    def __post_init__(self) -> None:
        if self.megapixels * 1e6 > MAX_PIXELS:
            raise ConfigError(
                f"above the maximum of {MAX_PIXELS / 1e6:.1f} megapixels that are ever decoded",
                where=f"limits.megapixels={self.megapixels:g}",
                remedy="lower it",
            )
        if self.held_megabytes < self.megabytes:
            raise ConfigError(
                f"below limits.megabytes={self.megabytes:g}, so that no large request could ever be accepted",
                where=f"limits.held_megabytes={self.held_megabytes:g}",
                remedy="raise it, or lower limits.megabytes",
            )
