"""Exceptions of the HTTP client."""

from __future__ import annotations

from typing import Literal

FailureState = Literal["gone", "refused", "failed"]


class FetchError(Exception):
    """A URL could not be fetched.

    Attributes:
        state: ``gone`` (404 or 410), ``refused`` (a permanent error, or the content must not be used),
            ``failed`` (all attempts failed).
        attempts: Number of requests made.
    """

    def __init__(self, state: FailureState, reason: str, attempts: int = 1) -> None:
        super().__init__(reason)
        self.state: FailureState = state
        self.attempts = attempts


class RetryError(Exception):
    """A temporary error: the request may be retried.

    Attributes:
        after: Seconds from the header Retry-After, if there is one.
        overloaded: The server is overloaded (429, 503): pause the whole host, not this URL only.
        url: The URL that failed; after a redirect it differs from the one requested.
    """

    def __init__(self, reason: str, *, after: float | None = None, overloaded: bool = False) -> None:
        super().__init__(reason)
        self.after = after
        self.overloaded = overloaded
        self.url: str | None = None


class StoppingError(Exception):
    """The collector is stopping: no new request is started."""
