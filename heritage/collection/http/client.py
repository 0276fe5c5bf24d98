"""The HTTP client that makes all requests to a museum.

It limits the rate of each host (`limiter`), obeys robots.txt (`robots`), connects to public addresses only
(`transport`), follows redirects only among the source's hosts, recognises bot walls (`responses`), limits the
size and duration of every response, and retries temporary errors with exponential backoff.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Iterable
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx

from heritage.collection.http import responses
from heritage.collection.http.body import Body, MemoryBody
from heritage.collection.http.cache import RecordCache
from heritage.collection.http.decoding import ACCEPT_ENCODING
from heritage.collection.http.errors import FetchError, RetryError, StoppingError
from heritage.collection.http.limiter import HostLimiter
from heritage.collection.http.responses import Expected, Response, WallError
from heritage.collection.http.robots import ROBOTS_BYTES, Robots
from heritage.collection.http.settings import Endpoint, RetryPolicy
from heritage.collection.http.transport import GuardedTransport
from heritage.errors import CollectionError

_MAX_REDIRECTS = 5
_MAX_URL = 2048
_NETWORK_ERRORS = (httpx.TransportError, httpx.DecodingError, TimeoutError)


class Client:
    """An HTTP client for one museum.

    Args:
        endpoints: The museum's servers.
        allowed_hosts: Further hosts that redirects and image URLs may point to.
        user_agent: The User-Agent header.
        retry_policy: Retries, timeouts and size limits.
        allow_private: Allow private addresses and plain http (the user's own server).
        stop: Set when no new request may start.
        cache: A cache of records and lists.

    Attributes:
        hosts: The limiter of each host.
    """

    def __init__(
        self,
        *,
        endpoints: Iterable[Endpoint],
        allowed_hosts: Iterable[str],
        user_agent: str,
        retry_policy: RetryPolicy,
        allow_private: bool,
        stop: asyncio.Event,
        cache: RecordCache | None = None,
    ) -> None:
        self._retry_policy = retry_policy
        self._allow_private = allow_private
        self._stop = stop
        self._cache = cache
        self.hosts = _limiters(list(endpoints), allowed_hosts, retry_policy, stop)
        self._robots = Robots(self._robots_text, self._apply_crawl_delay)
        connections = sum(1 for _ in self.hosts) * max(e.concurrency for e in endpoints)
        self._http = httpx.AsyncClient(
            transport=GuardedTransport(connections=connections, allow_private=allow_private),
            headers={"User-Agent": user_agent, "Accept-Encoding": ACCEPT_ENCODING},
            timeout=httpx.Timeout(
                retry_policy.read_timeout,
                connect=retry_policy.connect_timeout,
                pool=retry_policy.total_timeout,
            ),
            follow_redirects=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),  # none is accepted
            trust_env=False,
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def json(self, url: str, *, fresh: bool = False) -> tuple[bytes, Any]:
        """Fetch JSON, from the cache unless ``fresh``.

        Returns:
            The body and the parsed JSON.

        Raises:
            FetchError: The URL cannot be fetched.
            StoppingError: The collector is stopping.
            CollectionError: The host ends the run.
        """
        cached = self._cache.get(url) if self._cache and not fresh else None
        if cached is not None:
            return cached, json.loads(cached)
        response = await self.fetch(url, "json")
        if self._cache:
            self._cache.put(url, response.body)
        return response.body, response.parsed

    async def xml(self, url: str) -> bytes:
        """Fetch an XML document, from the cache if possible.

        Raises:
            FetchError: The URL cannot be fetched.
            StoppingError: The collector is stopping.
            CollectionError: The host ends the run.
        """
        cached = self._cache.get(url) if self._cache else None
        if cached is not None:
            return cached
        response = await self.fetch(url, "xml")
        if self._cache:
            self._cache.put(url, response.body)
        return response.body

    def invalidate(self, urls: Iterable[str]) -> None:
        """Remove URLs from the cache: their content has changed or was wrong."""
        if self._cache:
            self._cache.invalidate(urls)

    def raise_if_stopping(self) -> None:
        """Raise an error if the collector is stopping; for work between requests.

        Raises:
            StoppingError: The collector is stopping.
        """
        if self._stop.is_set():
            raise StoppingError

    async def fetch(self, url: str, expected: Expected, body: Body | None = None) -> Response:
        """Fetch a URL and retry temporary errors.

        Args:
            url: The URL.
            expected: The type of its content.
            body: Receives the bytes; a body in memory by default.

        Raises:
            FetchError: The URL cannot be fetched.
            StoppingError: The collector is stopping.
            CollectionError: The host ends the run.
        """
        policy = self._retry_policy
        limit = policy.max_image_bytes if expected == "image" else policy.max_record_bytes
        limit = ROBOTS_BYTES if expected == "text" else limit
        body = body or MemoryBody()
        reason, completed_at_wall = "", None
        for attempt in range(1, policy.attempts + 1):
            wait = 0.0
            try:
                return await self._follow(url, expected, body, limit)
            except WallError as wall:
                completed = wall.host.completed(wall.expected)
                if completed_at_wall is not None and completed > completed_at_wall:
                    # Other requests to the host succeed: only this URL is a page.
                    raise FetchError("refused", str(wall), attempt) from wall
                completed_at_wall, reason = completed, str(wall)
                wall.host.record_wall(wall.sent_at, wall.expected)
            except RetryError as fault:
                reason = str(fault)
                wait = self._retry_delay(_parsed(fault.url or url), fault, attempt)
            except FetchError as fault:
                fault.attempts = max(attempt, fault.attempts)
                raise
            if attempt < policy.attempts:
                self._host(_parsed(url)).stats.retries += 1
                await self._sleep(wait)
        raise FetchError("failed", reason, policy.attempts)

    def _retry_delay(self, url: httpx.URL, fault: RetryError, attempt: int) -> float:
        if fault.after is None:
            cap = min(self._retry_policy.backoff_cap, self._retry_policy.backoff * 2.0 ** (attempt - 1))
            wait = cap * random.uniform(0.5, 1.0)
            if fault.overloaded:
                self._host(url).pause(wait)
            return wait
        if fault.after > self._retry_policy.max_retry_after:
            raise CollectionError(
                f"the host requests a pause of {fault.after / 3600:.1f} hours (Retry-After)",
                where=_origin(url),
                remedy="run the same command again after that; what was collected is kept",
            )
        self._host(url).pause(fault.after)
        return 0.0

    async def _follow(self, start: str, expected: Expected, body: Body, limit: int) -> Response:
        url = _parsed(start)
        for _ in range(_MAX_REDIRECTS + 1):
            host = self._host(url)
            if expected != "text":
                await self._robots.check(_origin(url), str(url))
            async with host.slot() as sent_at:
                try:
                    async with (
                        asyncio.timeout(self._retry_policy.total_timeout),
                        self._stream(url, expected, body) as response,
                    ):
                        target = responses.redirect_of(response)
                        if target is None:
                            return await responses.receive(response, expected, body, limit, host, sent_at)
                except _NETWORK_ERRORS as error:
                    raise RetryError(_describe(error)) from error
                except RetryError as fault:
                    fault.url = str(url)
                    raise
            url = _parsed(target, url)
        raise FetchError("refused", f"more than {_MAX_REDIRECTS} redirects")

    @contextlib.asynccontextmanager
    async def _stream(self, url: httpx.URL, expected: Expected, body: Body) -> AsyncIterator[httpx.Response]:
        headers = {"Accept": responses.ACCEPT[expected], **body.request_headers()}
        if expected == "image":
            headers["Accept-Encoding"] = "identity"  # a range counts the bytes as they are sent
        async with self._http.stream("GET", url, headers=headers) as response:
            yield response

    def _host(self, url: httpx.URL) -> HostLimiter:
        """Return the limiter of a URL's host.

        Raises:
            FetchError: The URL may not be requested.
        """
        host = self.hosts.get(_netloc(url))
        if host is None:
            name = _netloc(url) or str(url).strip() or "an empty URL"
            raise FetchError("refused", f"{name} is not one of the source's hosts")
        if url.scheme not in (("https", "http") if self._allow_private else ("https",)) or url.userinfo:
            raise FetchError("refused", f"{url.scheme} URL of {url.host}: only plain https is requested")
        return host

    def _apply_crawl_delay(self, origin: str, seconds: float) -> None:
        if seconds > self._retry_policy.max_retry_after:
            raise CollectionError(
                f"robots.txt permits one request every {seconds / 3600:,.1f} hours (Crawl-delay)",
                where=origin,
                remedy=f"write to the museum, or set client.max_retry_after={seconds:.0f}",
            )
        self._host(httpx.URL(origin)).set_min_interval(seconds)

    async def _robots_text(self, url: str) -> str:
        return (await self.fetch(url, "text")).body.decode("utf-8", "replace")

    async def _sleep(self, seconds: float) -> None:
        if seconds > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), seconds)
        self.raise_if_stopping()


def _limiters(
    endpoints: list[Endpoint], allowed_hosts: Iterable[str], retry_policy: RetryPolicy, stop: asyncio.Event
) -> dict[str, HostLimiter]:
    """Return one limiter per host; endpoints on the same host share it, at the lowest rate."""
    limits: dict[str, tuple[float | None, int]] = {}
    slowest = min((e.rate for e in endpoints if e.rate), default=None)
    for endpoint in endpoints:
        host = _netloc(httpx.URL(endpoint.url))
        rate, concurrency = limits.get(host, (None, endpoint.concurrency))
        rates = [r for r in (rate, endpoint.rate) if r]
        limits[host] = min(rates, default=None), min(concurrency, endpoint.concurrency)
    for host in allowed_hosts:
        limits.setdefault(host.lower(), (slowest, 1))
    return {
        host: HostLimiter(
            host,
            rate=rate,
            concurrency=concurrency,
            wall_pause=retry_policy.wall_pause,
            max_walls=retry_policy.max_walls,
            stop=stop,
        )
        for host, (rate, concurrency) in limits.items()
    }


def _parsed(url: str, base: httpx.URL | None = None) -> httpx.URL:
    if len(url) > _MAX_URL:
        raise FetchError("refused", f"a URL of {len(url):,} characters")
    try:
        return base.join(url) if base else httpx.URL(url)
    except httpx.InvalidURL as error:
        raise FetchError("refused", f"not a valid URL ({error})") from error


def _netloc(url: httpx.URL) -> str:
    return url.netloc.decode("ascii").lower()


def _origin(url: httpx.URL) -> str:
    return f"{url.scheme}://{_netloc(url)}"


def _describe(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "the response took too long"
    return f"{type(error).__name__}: {error}".rstrip(": ")
