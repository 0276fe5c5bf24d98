"""HTTP for strangers: who opens a connection must say what for, and take the answer, within some seconds."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0
"""For the head of a request to arrive whole, and for what is left of an upload that was refused."""

TAKE_SECONDS = 30.0
"""For an answer to be taken, once it is more than the system's own buffers hold."""


class PatientProtocol(H11Protocol):
    """uvicorn's protocol, which waits for ever: for the rest of a head, and for somebody to read."""

    _head: asyncio.TimerHandle | None = None
    _taken: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start to wait."""
        super().connection_made(transport)
        self._head = self.loop.call_later(HEAD_SECONDS, self._end)

    def data_received(self, data: bytes) -> None:
        """Wait for the rest where a head is not whole; uvicorn's own timer stops at its first byte."""
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:
            self._stop_head()
        elif self._idle() and self._head is None:
            self._head = self.loop.call_later(HEAD_SECONDS, self._end)

    def pause_writing(self) -> None:
        """Start to wait for somebody who does not read."""
        super().pause_writing()
        if self._taken is None:
            self._taken = self.loop.call_later(TAKE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop that."""
        super().resume_writing()
        self._stop_taken()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._stop_head()
        self._stop_taken()
        super().connection_lost(exc)

    def _idle(self) -> bool:
        asked: object = self.cycle  # uvicorn's annotation forgets that it is None before the first request
        return asked is None or self.cycle.response_complete

    def _end(self) -> None:
        self._head = None
        if self._idle():
            self.transport.abort()

    def _stop_head(self) -> None:
        if self._head is not None:
            self._head.cancel()
        self._head = None

    def _stop_taken(self) -> None:
        if self._taken is not None:
            self._taken.cancel()
        self._taken = None
