"""How a request can end other than well."""

from __future__ import annotations

from typing import Literal

FailureState = Literal["gone", "refused", "failed"]


class FetchError(Exception):
    """Something that cannot be had now.

    Attributes:
        state: ``gone`` (the museum says it does not exist), ``refused`` (it must not be used, or the
            museum refuses it), ``failed`` (the attempts were used up).
        attempts: How many requests were made for it.
    """

    def __init__(self, state: FailureState, reason: str, attempts: int = 1) -> None:
        super().__init__(reason)
        self.state: FailureState = state
        self.attempts = attempts


class RetryError(Exception):
    """An attempt that failed in a way that may pass.

    Attributes:
        after: Seconds the server asked to wait, if it did.
        overloaded: The server says that it is asked too much, so all of it is left alone and not this
            URL only.
        asked: The URL whose answer it was: after redirects, another than the one that was wanted.
    """

    def __init__(self, reason: str, *, after: float | None = None, overloaded: bool = False) -> None:
        super().__init__(reason)
        self.after = after
        self.overloaded = overloaded
        self.asked: str | None = None


class StoppingError(Exception):
    """The collector was asked to stop; nothing new is started."""
