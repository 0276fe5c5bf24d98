"""Robots.txt, asked once a host and obeyed (RFC 9309)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from protego import Protego

from heritage.collection.http.errors import FetchError

AGENT = "heritage-collector"
"""The name that a museum's robots.txt may address."""


class Robots:
    """The rules of the hosts that were asked.

    Args:
        fetch: Fetches a URL's text; a `FetchError` of state ``gone`` or ``refused`` means that there
            are no rules, ``failed`` that nobody knows, and then nothing may be fetched.
        slow_down: Called with a host and the seconds it wants between requests.
    """

    def __init__(
        self, fetch: Callable[[str], Awaitable[str]], slow_down: Callable[[str, float], None]
    ) -> None:
        self._fetch = fetch
        self._slow_down = slow_down
        self._rules: dict[str, Protego] = {}
        self._asking: dict[str, asyncio.Lock] = {}

    async def require(self, origin: str, url: str) -> None:
        """Refuse a URL that its host asks robots not to fetch.

        Args:
            origin: Scheme and host of the URL, ``https://museum.example``.
            url: The URL.

        Raises:
            FetchError: The host disallows it, or its rules cannot be had.
        """
        rules = self._rules.get(origin)
        if rules is None:
            async with self._asking.setdefault(origin, asyncio.Lock()):
                rules = self._rules.get(origin) or await self._ask(origin)
                self._rules[origin] = rules
        if not rules.can_fetch(url, AGENT):
            raise FetchError("refused", "robots.txt of its host disallows it", attempts=0)

    async def _ask(self, origin: str) -> Protego:
        try:
            text = await self._fetch(f"{origin}/robots.txt")
        except FetchError as error:
            if error.state == "failed":
                raise FetchError("failed", f"robots.txt cannot be had: {error}") from error
            text = ""
        rules = Protego.parse(text)
        delay = rules.crawl_delay(AGENT)
        if delay:
            self._slow_down(origin, float(delay))
        return rules
