"""What the collector asks of a museum, and what all museums share."""

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
POLITE_PAUSE = 60.0
"""The least number of seconds that a real museum is left alone after a bot wall."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A part of a museum that is listed as one, and the classes that its objects may have.

    Attributes:
        key: Its name in the ledger; what stands before a colon says which kind of listing it is.
        classes: Once all of these are full, nothing more of it is fetched.
        objects: What is known of its objects, for the plan: ``any`` are whatever the museum has there,
            ``chosen`` were picked by a person, ``labelled`` have their class by the rules and may be used.
    """

    key: str
    classes: frozenset[str]
    objects: Literal["any", "chosen", "labelled"] = "any"


@dataclass(frozen=True, slots=True)
class Listed:
    """An object that a museum lists.

    Attributes:
        raw: Its record, where the list brings it along.
    """

    object_id: str
    raw: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class Source(abc.ABC):
    """A museum: what the collector asks of it, and what all museums share.

    Attributes:
        hosts: The museum's servers by their part: ``api``, ``images``.
        allowed_hosts: Further hosts that redirects may lead to.
        allow_private: Private addresses and plain http may be asked: for a server of one's own alone.
        contact: An e-mail address or web page of whoever collects, sent with each request.
        expected_yield: The share of listed objects that have a usable photograph, for the plan.
        museum: Its code, name, licence and links.
    """

    hosts: dict[str, Endpoint]
    allowed_hosts: list[str]
    allow_private: bool
    contact: str | None
    expected_yield: Fraction
    museum: Museum
    rules_museum: ClassVar[str]
    tells_changes: ClassVar[bool] = True
    """Its lists can be asked for what changed since a date."""

    @property
    def code(self) -> str:
        """The museum's code in file names and in the ledger."""
        return self.museum.code

    @contextlib.contextmanager
    def opened(self) -> Iterator[Source]:
        """Yield the museum; the demo museum opens and closes its server here."""
        yield self

    @abc.abstractmethod
    def listings(self, rules: ClassRules, classes: tuple[str, ...]) -> list[Listing]:
        """Return what must be listed to find objects of these classes.

        Raises:
            ConfigError: The rules do not say where to look.
        """

    @abc.abstractmethod
    def enumerate(self, client: Client, listing: Listing, since: str | None) -> AsyncIterator[list[Listed]]:
        """Yield pages of a listing.

        Args:
            client: Makes the requests.
            listing: Which.
            since: Only what changed since that date (YYYY-MM-DD), where the museum can tell.

        Raises:
            FetchError: A page of it cannot be had.
            StoppingError: The collector is stopping.
            CollectionError: The host ends the run, or its list is not what it should be.
            ConfigError: The museum has no such part.
        """

    @abc.abstractmethod
    def record_url(self, object_id: str) -> str:
        """Return where a record is.

        Raises:
            RecordError: The id is not one of this museum's.
        """

    @abc.abstractmethod
    def read(self, raw: Any, object_id: str, listing: str, size: Size) -> Record:
        """Read a record.

        Args:
            raw: The record as JSON says it.
            object_id: The id that was asked for.
            listing: The listing that named it.
            size: Which size of photographs to point to.

        Raises:
            RecordError: It must not or cannot be used.
        """

    def terms(self) -> str | None:
        """Return two lines on what the museum's terms allow; None where its licence is simply open.

        Raises:
            ConfigError: The terms must be accepted first.
        """
        return None

    def require_manners(self, wall_pause: float) -> None:
        """Refuse to ask a real museum anonymously or without a limit.

        Raises:
            ConfigError: The contact, a rate or the pause is missing, or a server's address is none.
        """
        # Private addresses being allowed makes no museum one's own.
        own = [_is_ones_own(name, endpoint) for name, endpoint in self.hosts.items()]
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
        if wall_pause < POLITE_PAUSE:
            raise ConfigError(
                f"less than {POLITE_PAUSE:g} seconds",
                where=f"client.wall_pause={wall_pause:g}",
                remedy="wait for a minute or more after a museum has blocked requests",
            )

    def fetch_url(self, url: str) -> str:
        """Return where to fetch a published URL: the same, save where a stand-in is configured.

        Whether it may be asked at all is for the client to say: it refuses hosts that are not the source's.
        """
        for endpoint in self.hosts.values():
            if url.startswith(endpoint.public + "/"):
                return endpoint.base + url.removeprefix(endpoint.public)
        return url


def _is_ones_own(name: str, endpoint: Endpoint) -> bool:
    """Tell whether a server is on this machine or at a private address, which needs no manners."""
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
        return False  # a name
