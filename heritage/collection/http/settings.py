"""Settings of the HTTP client: rate limits, retries, timeouts and size limits."""

from __future__ import annotations

from dataclasses import dataclass

from heritage.core.types import PositiveFloat, PositiveInt


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One of a museum's servers.

    Attributes:
        url: The base of its URLs.
        rate: Requests per second; None for no limit.
        concurrency: Maximum number of concurrent requests.
        published: The base URL of this server in the museum's records if ``url`` is a mirror or a test
            server. Recorded URLs always start with the published base.
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
        """The base of the URLs to request."""
        return self.url.rstrip("/")

    @property
    def public(self) -> str:
        """The base of the URLs to record."""
        return (self.published or self.url).rstrip("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Retries, timeouts and size limits.

    Attributes:
        attempts: Requests for a URL before it counts as failed.
        backoff: Seconds before the second attempt; doubled for each further attempt, with jitter.
        backoff_cap: Maximum backoff in seconds.
        max_retry_after: A Retry-After of more seconds ends the run.
        connect_timeout: Timeout of connecting, in seconds.
        read_timeout: Timeout between two chunks of a response, in seconds.
        total_timeout: Timeout of a whole response, in seconds.
        wall_pause: Seconds without requests after a bot wall (at least 60 for real museums).
        max_walls: Bot walls in a row, without a successful response between them, that end the run.
        max_record_bytes: Maximum size of a record or list.
        max_image_bytes: Maximum size of a photograph.
    """

    attempts: PositiveInt
    backoff: PositiveFloat
    backoff_cap: PositiveFloat
    max_retry_after: PositiveFloat
    connect_timeout: PositiveFloat
    read_timeout: PositiveFloat
    total_timeout: PositiveFloat
    wall_pause: PositiveFloat
    max_walls: PositiveInt
    max_record_bytes: PositiveInt
    max_image_bytes: PositiveInt
