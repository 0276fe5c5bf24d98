"""Fetch and obey robots.txt, once per host (RFC 9309)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable

from protego import Protego

from heritage.collection.http.errors import FetchError

AGENT = "heritage-collector"
"""The user agent that a museum's robots.txt may address."""


ROBOTS_BYTES = 512 << 10
"""What is read of a robots.txt; RFC 9309 demands 500 KiB at least."""

_WILDCARDS = 2  # of a rule; matching takes time to the power of their number
_RULE = re.compile(r"(?i)^\s*(allow|disallow)\s*:([^#]*)")


def _bounded(text: str) -> str:
    """Shorten rules with many wildcards: more is disallowed, and nothing more is allowed."""
    if len(text) > ROBOTS_BYTES:
        text = text[:ROBOTS_BYTES].rpartition("\n")[0]  # half a rule would be another one
    lines = []
    for line in text.splitlines():
        rule = _RULE.match(line)
        parts = re.sub(r"\*+", "*", rule[2]).split("*") if rule else []
        if rule is None or len(parts) - 1 <= _WILDCARDS:
            lines.append(line)
        elif rule[1].lower() == "disallow":
            lines.append(f"Disallow:{'*'.join(parts[:_WILDCARDS])}*")
    return "\n".join(lines)


class Robots:
    """The robots.txt rules of all hosts requested so far.

    Args:
        fetch: Fetches a URL's text. A `FetchError` of state ``gone`` or ``refused`` means that there are no
            rules; ``failed`` means that the rules are unknown, so nothing may be fetched.
        set_min_interval: Called with a host's origin and its crawl delay in seconds.
    """

    def __init__(
        self, fetch: Callable[[str], Awaitable[str]], set_min_interval: Callable[[str, float], None]
    ) -> None:
        self._fetch = fetch
        self._set_min_interval = set_min_interval
        self._rules: dict[str, Protego] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def check(self, origin: str, url: str) -> None:
        """Raise an error if a host's robots.txt disallows a URL.

        Args:
            origin: Scheme and host of the URL, ``https://museum.example``.
            url: The URL.

        Raises:
            FetchError: The URL is disallowed, or the rules cannot be fetched.
        """
        rules = self._rules.get(origin)
        if rules is None:
            async with self._locks.setdefault(origin, asyncio.Lock()):
                rules = self._rules.get(origin) or await self._load(origin)
                self._rules[origin] = rules
        if not rules.can_fetch(url, AGENT):
            raise FetchError("refused", "disallowed by robots.txt", attempts=0)

    async def _load(self, origin: str) -> Protego:
        try:
            text = await self._fetch(f"{origin}/robots.txt")
        except FetchError as error:
            if error.state == "failed":
                raise FetchError("failed", f"robots.txt cannot be fetched: {error}") from error
            text = ""
        rules = Protego.parse(_bounded(text))
        delay = rules.crawl_delay(AGENT)
        if delay:
            self._set_min_interval(origin, float(delay))
        return rules
