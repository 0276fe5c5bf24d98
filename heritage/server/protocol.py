"""uvicorn's HTTP protocol with timeouts and a limit per address: protection from slow and greedy clients."""

from __future__ import annotations

import asyncio
import ipaddress
from collections import Counter
from typing import ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS = 10.0
"""Time for a request's headers to arrive, and for the rest of an upload that was refused."""

WRITE_SECONDS = 30.0
"""Time for a client to read a response that exceeds the system's buffers."""


_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nRetry-After: 2\r\n"
    b"Content-Length: 40\r\nConnection: close\r\n\r\nToo many connections from one address.\r\n"
)


class TimeoutProtocol(H11Protocol):
    """Closes connections that uvicorn's protocol would wait for without limit.

    Attributes:
        per_address: Number of open connections of an address; None is unlimited.
        open: The open connections by address, of all instances of a class.
    """

    per_address: ClassVar[int | None] = None
    open: ClassVar[Counter[str]] = Counter()
    _address: str | None = None

    _header_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection and start the header timer."""
        super().connection_made(transport)
        if self.per_address is not None:
            self._address = _network(transport.get_extra_info("peername"))
            self.open[self._address] += 1
            if self.open[self._address] > self.per_address:
                transport.write(_BUSY)
                transport.close()
                return
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
        if self._address is not None:
            self.open[self._address] -= 1
            if not self.open[self._address]:
                del self.open[self._address]
            self._address = None
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


def limited_protocol(per_address: int | None) -> type[TimeoutProtocol]:
    """Return the protocol of one server, with its own count of connections."""
    return type("LimitedProtocol", (TimeoutProtocol,), {"per_address": per_address, "open": Counter()})


def _network(peer: object) -> str:
    """Return the address of a client; of IPv6 its network, all of whose addresses a client has."""
    host = str(peer[0]) if isinstance(peer, tuple) and peer else ""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(getattr(address, "ipv4_mapped", None) or address)
