"""An httpx transport that connects to public addresses only.

The check is made on the address that is connected to, so that neither DNS rebinding nor a redirect lets a
museum's response reach the collector's own network.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
import time
from collections.abc import Iterable
from typing import Any

import httpcore
import httpx

from heritage.collection.http.errors import FetchError

_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # IPv4 addresses behind a translator (RFC 6052)


def is_public(address: str) -> bool:
    """Return whether an IP address, and an IPv4 address embedded in it, is globally reachable."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return inner.is_global and not inner.is_multicast
    return ip.is_global and not ip.is_multicast


class _RarelyPolledStream(httpcore.AsyncNetworkStream):
    """A stream that checks at most once per second whether the server has closed the connection.

    httpcore checks all idle connections at every request with a system call each; with 16 connections that
    costs as much as the requests. A request on a connection lost within that second is sent again
    (`GuardedTransport`).
    """

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._checked_at = time.monotonic()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return _RarelyPolledStream(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            now = time.monotonic()
            if now - self._checked_at < 1.0:
                return False
            self._checked_at = now
        return self._stream.get_extra_info(info)


class _GuardedBackend(httpcore.AsyncNetworkBackend):
    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await _resolve(host, port)
        if not self._allow_private:
            for address in addresses:
                if not is_public(address):
                    raise FetchError("refused", f"{host} resolves to the private address {address}")
        error: httpcore.ConnectError | httpcore.ConnectTimeout | None = None
        for address in addresses:
            try:
                stream = await self._backend.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
                return _RarelyPolledStream(stream)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as fault:
                error = fault
        raise error or httpcore.ConnectError(f"{host} has no address")

    async def sleep(self, seconds: float) -> None:
        await self._backend.sleep(seconds)


async def _resolve(host: str, port: int) -> list[str]:
    try:
        entries = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise httpcore.ConnectError(f"{host} has no address ({error.strerror})") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in entries))


class GuardedTransport(httpx.AsyncHTTPTransport):
    """httpx's transport with a check of each connection's address.

    A server may close an idle connection at any time. A request on such a connection is sent again at once,
    on another one (RFC 9112, 9.3.1), which is not an attempt: the server has not seen it.

    Args:
        connections: Maximum number of connections.
        allow_private: Allow private addresses (the user's own server).
    """

    def __init__(self, *, connections: int, allow_private: bool) -> None:
        context: ssl.SSLContext = httpx.create_ssl_context(trust_env=False)
        super().__init__(verify=context, trust_env=False)
        self._connections = connections
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context,
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=30.0,
            network_backend=_GuardedBackend(allow_private=allow_private),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; a redirect's target is in the response's extensions, under ``location``.

        httpx parses the Location header of each response, also if it follows no redirect, and raises
        `httpx.InvalidURL`, which is not one of its network errors, for ``javascript:alert(1)``.
        """
        response = await self._send(request)
        targets = response.headers.get_list("location")
        if targets:
            del response.headers["location"]
            response.extensions["location"] = targets[0]
        return response

    async def _send(self, request: httpx.Request) -> httpx.Response:
        connected = False

        async def trace(event: str, _: Any) -> None:
            nonlocal connected
            connected = connected or event.startswith("connection.connect_tcp")

        request.extensions["trace"] = trace
        for _ in range(self._connections):
            try:
                return await super().handle_async_request(request)
            except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError) as error:
                if connected or not _is_lost(error):
                    raise
        return await super().handle_async_request(request)


def _is_lost(error: httpx.TransportError) -> bool:
    """Return whether a connection ended before the first byte of a response."""
    return not isinstance(error, httpx.RemoteProtocolError) or "without sending a response" in str(error)
