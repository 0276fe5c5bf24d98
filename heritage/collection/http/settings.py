"""How a museum's servers are to be treated: rates, waits and bounds, as the configuration gives them."""

from __future__ import annotations

from dataclasses import dataclass

from heritage.core.types import PositiveFloat, PositiveInt


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One of a museum's servers.

    Attributes:
        url: The base of its URLs.
        rate: Requests a second; None does not limit.
        concurrency: Requests under way at once.
        published: The base by which the museum's records name this server, where ``url`` is a mirror or
            a stand-in for it; what is recorded always names the published one.
    """

    url: str
    rate: PositiveFloat | None
    concurrency: PositiveInt
    published: str | None = None

    @property
    def origin(self) -> str:
        """Scheme, host and port, ``https://museum.example``."""
        return "/".join(self.url.split("/", 3)[:3]).lower()

    @property
    def base(self) -> str:
        """The base of the URLs that are asked."""
        return self.url.rstrip("/")

    @property
    def public(self) -> str:
        """The base of the URLs that are recorded."""
        return (self.published or self.url).rstrip("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How long the client waits, how often it tries, how much it swallows.

    Attributes:
        attempts: Requests for one URL before it counts as failed.
        backoff: Seconds before the second attempt; doubled for each further one, with jitter.
        backoff_cap: The longest such wait in seconds.
        max_retry_after: A longer Retry-After, in seconds, ends the run.
        connect_timeout: Seconds for a connection.
        read_timeout: Seconds without a byte.
        total_timeout: Seconds for a whole answer.
        wall_pause: Seconds of silence after a bot wall (60 at least for real museums).
        most_walls: The wall in a row that ends the run.
        max_record_bytes: The largest record or list.
        max_image_bytes: The largest photograph.
    """

    attempts: PositiveInt
    backoff: PositiveFloat
    backoff_cap: PositiveFloat
    max_retry_after: PositiveFloat
    connect_timeout: PositiveFloat
    read_timeout: PositiveFloat
    total_timeout: PositiveFloat
    wall_pause: PositiveFloat
    most_walls: PositiveInt
    max_record_bytes: PositiveInt
    max_image_bytes: PositiveInt
