"""The one polite client: every request to a museum is made here.

It takes turns (`limiter`), obeys robots.txt (`robots`), connects to public addresses (`guard`), follows
redirects only among the source's own hosts, recognises bot walls, bounds every body and every wait, and
tries again only what may pass, later each time.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Iterable
from typing import Any

import httpx

from heritage.collection.http import responses as answers
from heritage.collection.http.body import Body, MemoryBody
from heritage.collection.http.cache import RecordCache
from heritage.collection.http.errors import FetchError, RetryError, StoppingError
from heritage.collection.http.limiter import HostLimiter
from heritage.collection.http.responses import Expected, Response, WallError
from heritage.collection.http.robots import Robots
from heritage.collection.http.settings import Endpoint, RetryPolicy
from heritage.collection.http.transport import GuardedTransport
from heritage.errors import CollectionError

_MOST_REDIRECTS = 5
_NETWORK_ERRORS = (httpx.TransportError, httpx.DecodingError, TimeoutError)


class Client:
    """A museum's servers, asked politely.

    Args:
        endpoints: The museum's servers.
        allowed_hosts: Further hosts that redirects and image URLs may lead to.
        user_agent: Who asks.
        patience: Waits and bounds.
        allow_private: Private addresses and plain http may be asked (for a server of one's own).
        stop: Set when nothing new may start.
        cache: Answers of earlier runs to requests for records and lists.
    """

    def __init__(
        self,
        *,
        endpoints: Iterable[Endpoint],
        allowed_hosts: Iterable[str],
        user_agent: str,
        patience: RetryPolicy,
        allow_private: bool,
        stop: asyncio.Event,
        cache: RecordCache | None = None,
    ) -> None:
        self._patience = patience
        self._allow_private = allow_private
        self._stop = stop
        self._cache = cache
        self.hosts = _limiters(list(endpoints), allowed_hosts, patience, stop)
        self._robots = Robots(self._robots_text, lambda origin, s: self._host(httpx.URL(origin)).slow_down(s))
        places = sum(1 for _ in self.hosts) * max(e.concurrency for e in endpoints)
        self._http = httpx.AsyncClient(
            transport=GuardedTransport(connections=places, allow_private=allow_private),
            headers={"User-Agent": user_agent},
            timeout=httpx.Timeout(
                patience.read_timeout, connect=patience.connect_timeout, pool=patience.total_timeout
            ),
            follow_redirects=False,
            trust_env=False,
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def json(self, url: str, *, fresh: bool = False) -> tuple[bytes, Any]:
        """Fetch JSON; a cached answer will do unless ``fresh``.

        Returns:
            The bytes and what they say.

        Raises:
            FetchError: It cannot be had.
            StoppingError: The collector is stopping.
            CollectionError: The host ends the run.
        """
        kept = self._cache.get(url) if self._cache and not fresh else None
        if kept is not None:
            return kept, json.loads(kept)
        answer = await self.fetch(url, "json")
        if self._cache:
            self._cache.put(url, answer.body)
        return answer.body, answer.parsed

    async def xml(self, url: str) -> bytes:
        """Fetch an XML document; a cached answer will do.

        Raises:
            FetchError: It cannot be had.
            StoppingError: The collector is stopping.
            CollectionError: The host ends the run.
        """
        kept = self._cache.get(url) if self._cache else None
        if kept is not None:
            return kept
        answer = await self.fetch(url, "xml")
        if self._cache:
            self._cache.put(url, answer.body)
        return answer.body

    def forget(self, urls: Iterable[str]) -> None:
        """Let no cached answer do for these any more: they changed, or were not what they should be."""
        if self._cache:
            self._cache.forget(urls)

    def heed_stop(self) -> None:
        """Raise where the collector is stopping; for work between requests.

        Raises:
            StoppingError: It is.
        """
        if self._stop.is_set():
            raise StoppingError

    async def fetch(self, url: str, expected: Expected, body: Body | None = None) -> Response:
        """Fetch a URL, trying again what may pass.

        Args:
            url: Where.
            expected: What a good answer holds.
            body: Receives the bytes; by default they are kept in memory.

        Raises:
            FetchError: It cannot be had.
            StoppingError: The collector is stopping.
            CollectionError: The host ends the run.
        """
        limit = self._patience.max_image_bytes if expected == "image" else self._patience.max_record_bytes
        body = body or MemoryBody()
        reason, good_at_wall = "", None
        for attempt in range(1, self._patience.attempts + 1):
            wait = 0.0
            try:
                return await self._follow(url, expected, body, limit)
            except WallError as wall:
                good = wall.host.tally.done
                if good_at_wall is not None and good > good_at_wall:
                    # The host answers others: this one URL is a page.
                    raise FetchError("refused", str(wall), attempt) from wall
                good_at_wall, reason = good, str(wall)
                wall.host.wall(wall.asked_at)
            except RetryError as fault:
                reason = str(fault)
                wait = self._after(_parsed(fault.asked or url), fault, attempt)
            except FetchError as fault:
                fault.attempts = max(attempt, fault.attempts)
                raise
            if attempt < self._patience.attempts:
                self._host(_parsed(url)).tally.retries += 1
                await self._sleep(wait)
        raise FetchError("failed", reason, self._patience.attempts)

    def _after(self, url: httpx.URL, fault: RetryError, attempt: int) -> float:
        if fault.after is None:
            cap = min(self._patience.backoff_cap, self._patience.backoff * 2.0 ** (attempt - 1))
            wait = cap * random.uniform(0.5, 1.0)
            if fault.overloaded:
                self._host(url).pause(wait)
            return wait
        if fault.after > self._patience.max_retry_after:
            raise CollectionError(
                f"asks to be left alone for {fault.after / 3600:.1f} hours",
                where=_origin(url),
                remedy="start the same command again after that; what was collected is kept",
            )
        self._host(url).pause(fault.after)
        return 0.0

    async def _follow(self, start: str, expected: Expected, body: Body, limit: int) -> Response:
        url = _parsed(start)
        for _ in range(_MOST_REDIRECTS + 1):
            host = self._host(url)
            if expected != "text":
                await self._robots.require(_origin(url), str(url))
            async with host.turn() as asked_at:
                try:
                    async with (
                        asyncio.timeout(self._patience.total_timeout),
                        self._stream(url, expected, body) as response,
                    ):
                        target = answers.redirect_of(response)
                        if target is None:
                            return await answers.receive(response, expected, body, limit, host, asked_at)
                except _NETWORK_ERRORS as error:
                    raise RetryError(_say(error)) from error
                except RetryError as fault:
                    fault.asked = str(url)
                    raise
            url = _parsed(target, url)
        raise FetchError("refused", f"more than {_MOST_REDIRECTS} redirects")

    @contextlib.asynccontextmanager
    async def _stream(self, url: httpx.URL, expected: Expected, body: Body) -> AsyncIterator[httpx.Response]:
        headers = {"Accept": answers.ACCEPT[expected], **body.request_headers()}
        if expected == "image":
            headers["Accept-Encoding"] = "identity"  # ranges count the bytes that are sent
        async with self._http.stream("GET", url, headers=headers) as response:
            yield response

    def _host(self, url: httpx.URL) -> HostLimiter:
        """Return the turns of a URL's host.

        Raises:
            FetchError: The URL may not be asked.
        """
        host = self.hosts.get(_netloc(url))
        if host is None:
            raise FetchError("refused", f"{url.host or url} is not one of the source's hosts")
        if url.scheme not in (("https", "http") if self._allow_private else ("https",)) or url.userinfo:
            raise FetchError("refused", f"{url.scheme} URL of {url.host}: only plain https is asked")
        return host

    async def _robots_text(self, url: str) -> str:
        return (await self.fetch(url, "text")).body.decode("utf-8", "replace")

    async def _sleep(self, seconds: float) -> None:
        if seconds > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), seconds)
        self.heed_stop()


def _limiters(
    endpoints: list[Endpoint], allowed_hosts: Iterable[str], patience: RetryPolicy, stop: asyncio.Event
) -> dict[str, HostLimiter]:
    """Make one limiter a host: endpoints that share a host share its turns, at the lowest rate."""
    places: dict[str, tuple[float | None, int]] = {}
    slowest = min((e.rate for e in endpoints if e.rate), default=None)
    for endpoint in endpoints:
        host = _netloc(httpx.URL(endpoint.url))
        rate, concurrency = places.get(host, (None, endpoint.concurrency))
        rates = [r for r in (rate, endpoint.rate) if r]
        places[host] = min(rates, default=None), min(concurrency, endpoint.concurrency)
    for host in allowed_hosts:
        places.setdefault(host.lower(), (slowest, 1))
    return {
        host: HostLimiter(
            host,
            rate=rate,
            concurrency=concurrency,
            wall_pause=patience.wall_pause,
            most_walls=patience.most_walls,
            stop=stop,
        )
        for host, (rate, concurrency) in places.items()
    }


def _parsed(url: str, base: httpx.URL | None = None) -> httpx.URL:
    try:
        return base.join(url) if base else httpx.URL(url)
    except httpx.InvalidURL as error:
        raise FetchError("refused", f"no URL that can be asked ({error})") from error


def _netloc(url: httpx.URL) -> str:
    return url.netloc.decode("ascii").lower()


def _origin(url: httpx.URL) -> str:
    return f"{url.scheme}://{_netloc(url)}"


def _say(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "the answer took too long"
    return f"{type(error).__name__}: {error}".rstrip(": ")
