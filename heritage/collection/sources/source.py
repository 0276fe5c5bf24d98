"""The interface of a museum's adapter, and what all adapters share."""

from __future__ import annotations

import abc
import contextlib
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import httpx

from heritage.collection.http.client import Client
from heritage.collection.http.settings import Endpoint
from heritage.collection.http.transport import is_public
from heritage.collection.record import Record, Size
from heritage.collection.rules import ClassRules
from heritage.core.museums import Museum
from heritage.core.types import Fraction
from heritage.errors import ConfigError

_CONTACT = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+|https?://\S+")
MIN_WALL_PAUSE = 60.0
"""Minimum number of seconds without requests to a real museum after a bot wall."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of objects, such as a department, and the classes its objects may have.

    Attributes:
        key: Its key in the ledger, ``kind:name``.
        classes: The classes its objects may have. Once all are full, no more of its objects are read.
        objects: Type of its objects, for the plan: ``any`` for all objects of the listing, ``chosen`` for ids
            given by the user, ``labelled`` for usable objects that the rules have labelled already.
    """

    key: str
    classes: frozenset[str]
    objects: Literal["any", "chosen", "labelled"] = "any"


@dataclass(frozen=True, slots=True)
class ListedObject:
    """An entry of a listing.

    Attributes:
        object_id: The museum's id of the object.
        raw: Its record as JSON, if the list includes it.
    """

    object_id: str
    raw: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class Source(abc.ABC):
    """A museum's adapter.

    Attributes:
        hosts: The museum's servers by role: ``api``, ``images``.
        allowed_hosts: Further hosts that redirects may point to.
        allow_private: Allow private addresses and plain http, for the user's own server only.
        contact: The user's e-mail address or web page, sent with each request.
        expected_yield: Expected fraction of listed objects with a usable photograph, for the plan.
        museum: Its code, name, licence and links.
    """

    hosts: dict[str, Endpoint]
    allowed_hosts: list[str]
    allow_private: bool
    contact: str | None
    expected_yield: Fraction
    museum: Museum
    rules_museum: ClassVar[str]
    """The museum's code in class rules."""
    supports_since: ClassVar[bool] = True
    """Whether its lists can be limited to objects changed since a date."""

    @property
    def code(self) -> str:
        """The museum's code in file names and in the ledger."""
        return self.museum.code

    @contextlib.contextmanager
    def opened(self) -> Iterator[Source]:
        """Open the museum for a run; the demo museum starts and stops its server here."""
        yield self

    @abc.abstractmethod
    def listings(self, rules: ClassRules, classes: tuple[str, ...]) -> list[Listing]:
        """Return the listings that contain objects of these classes.

        Raises:
            ConfigError: The rules do not name a listing.
        """

    @abc.abstractmethod
    def enumerate(
        self, client: Client, listing: Listing, since: str | None
    ) -> AsyncIterator[list[ListedObject]]:
        """Yield pages of a listing.

        Args:
            client: The HTTP client.
            listing: The listing.
            since: Yield only objects changed since this date (YYYY-MM-DD), if `supports_since`.

        Raises:
            FetchError: A page cannot be fetched.
            StoppingError: The collector is stopping.
            CollectionError: The host ends the run, or the list has an unexpected format.
            ConfigError: The museum has no such listing.
        """

    @abc.abstractmethod
    def record_url(self, object_id: str) -> str:
        """Return the URL of a record.

        Raises:
            RecordError: Not a valid id of this museum.
        """

    @abc.abstractmethod
    def read(self, raw: Any, object_id: str, listing: str, size: Size) -> Record:
        """Parse a record.

        Args:
            raw: The record as parsed JSON.
            object_id: The id of the requested object.
            listing: The key of the listing that named it.
            size: The size of the photographs to link.

        Raises:
            RecordError: The object must not or cannot be used.
        """

    def terms(self) -> str | None:
        """Return a notice of the museum's terms, to be printed before a run; None for an open licence.

        Raises:
            ConfigError: The terms must be accepted first.
        """
        return None

    def check_politeness(self, wall_pause: float) -> None:
        """Check that requests to a real museum have a contact, a rate limit and a pause after bot walls.

        Args:
            wall_pause: Seconds without requests after a bot wall.

        Raises:
            ConfigError: One of them is missing, or a server's URL is invalid.
        """
        # `allow_private` does not exempt public servers.
        own = [_is_own_server(name, endpoint) for name, endpoint in self.hosts.items()]
        if self.allow_private and all(own):
            return
        if self.contact is None or not _CONTACT.fullmatch(self.contact):
            given = self.contact is not None
            raise ConfigError(
                "not an e-mail address or a web page" if given else "no value",
                where=f"source.contact={self.contact}" if given else "source.contact",
                remedy="museums need an address to write to: source.contact=you@example.org",
            )
        for name, endpoint in self.hosts.items():
            if endpoint.rate is None:
                raise ConfigError(
                    "no value",
                    where=f"source.hosts.{name}.rate",
                    remedy="give requests per second: a museum is never queried without a rate limit",
                )
        if wall_pause < MIN_WALL_PAUSE:
            raise ConfigError(
                f"less than {MIN_WALL_PAUSE:g} seconds",
                where=f"client.wall_pause={wall_pause:g}",
                remedy="wait for a minute or more after a museum has blocked requests",
            )

    def fetch_url(self, url: str) -> str:
        """Return the URL from which to fetch a published URL: they differ if a mirror is configured.

        The client refuses URLs of other hosts.
        """
        for endpoint in self.hosts.values():
            if url.startswith(endpoint.public + "/"):
                return endpoint.base + url.removeprefix(endpoint.public)
        return url


def _is_own_server(name: str, endpoint: Endpoint) -> bool:
    """Return whether a server is on this machine or at a private address: it needs no rate limit."""
    try:
        url = httpx.URL(endpoint.url)
    except httpx.InvalidURL as error:
        raise ConfigError(
            str(error), where=f"source.hosts.{name}.url={endpoint.url}", remedy="give https://host/path"
        ) from error
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigError(
            "not a web address",
            where=f"source.hosts.{name}.url={endpoint.url}",
            remedy="give https://host/path",
        )
    if url.host == "localhost":
        return True
    try:
        return not is_public(url.host)
    except ValueError:
        return False  # a host name
