"""uvicorn's HTTP protocol with header-read and write timeouts: protection from slow clients."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS = 10.0
"""Time for a request's headers to arrive, and for the rest of an upload that was refused."""

WRITE_SECONDS = 30.0
"""Time for a client to read a response that exceeds the system's buffers."""


class TimeoutProtocol(H11Protocol):
    """Closes connections that uvicorn's protocol would wait for without limit."""

    _header_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the header timer."""
        super().connection_made(transport)
        self._header_timer = self.loop.call_later(HEADER_SECONDS, self._close_idle)

    def data_received(self, data: bytes) -> None:
        """Keep the header timer running until the headers are complete; uvicorn's stops at the first byte."""
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:
            self._stop_header_timer()
        elif self._idle() and self._header_timer is None:
            self._header_timer = self.loop.call_later(HEADER_SECONDS, self._close_idle)

    def pause_writing(self) -> None:
        """Start the write timer: the client does not read."""
        super().pause_writing()
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(WRITE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop the write timer."""
        super().resume_writing()
        self._stop_write_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop both timers."""
        self._stop_header_timer()
        self._stop_write_timer()
        super().connection_lost(exc)

    def _idle(self) -> bool:
        cycle: object = self.cycle  # None before the first request, contrary to uvicorn's annotation
        return cycle is None or self.cycle.response_complete

    def _close_idle(self) -> None:
        self._header_timer = None
        if self._idle():
            self.transport.abort()

    def _stop_header_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
        self._header_timer = None

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
        self._write_timer = None
