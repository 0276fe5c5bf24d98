"""How the server says no: a status, a word for programs, a sentence for people, nothing of its insides."""

from __future__ import annotations


class Refusal(Exception):  # noqa: N818  it is no fault of ours
    """A request, or one picture of it, that gets no answer.

    Args:
        status: The HTTP status.
        code: For programs, fixed.
        message: For people.
        retry_after: Seconds after which another try makes sense.
    """

    def __init__(self, status: int, code: str, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after


def busy() -> Refusal:
    """Return the refusal for a server that has enough to do."""
    return Refusal(503, "busy", "The server is busy. Try again in a moment.", retry_after=2)
