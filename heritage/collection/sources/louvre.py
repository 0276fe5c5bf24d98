"""The Musée du Louvre, Paris: records in French, photographs under the museum's own terms.

Records are listed through the sitemap, which names each one once per language. Photographs of backs, details
and inventory marks are skipped.
"""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, ClassVar

from heritage.collection.http.client import Client
from heritage.collection.record import (
    Photograph,
    Record,
    RecordError,
    Size,
    fold,
    percent_encode,
    text_of,
    year_of,
    years,
)
from heritage.collection.rules import ClassRules
from heritage.collection.sources.source import ListedObject, Listing, Source
from heritage.errors import CollectionError, ConfigError

TERMS = (
    "The Louvre's photographs are free only for the uses its terms list: museum, teaching, scientific and "
    "thesis work, each with the photo credit and the record's permalink.\n"
    "They may not be published as a data set or used commercially; read "
    "https://collections.louvre.fr/en/page/cgu before you start."
)
_PART = re.compile(r"<loc>\s*([^<\s]+?\.xml(?:\.gz)?)\s*</loc>")
_ARK = re.compile(r"ark:/53355/(cl\d{6,12})\b")


@dataclass(frozen=True, kw_only=True)
class LouvreSource(Source):
    """The Louvre's collections site.

    Attributes:
        accept_terms: The user has read and accepts the terms of use.
        skip_views: Photographs whose type has one of these words are skipped.
    """

    accept_terms: bool
    skip_views: list[str]
    rules_museum: ClassVar[str] = "LOUVRE"
    supports_since: ClassVar[bool] = False

    def terms(self) -> str | None:
        """Return a notice of the terms of use.

        Raises:
            ConfigError: They are not accepted.
        """
        if not self.accept_terms:
            raise ConfigError(
                TERMS, where="source.accept_terms", remedy="to accept these terms: source.accept_terms=true"
            )
        return TERMS

    def listings(self, rules: ClassRules, classes: tuple[str, ...]) -> list[Listing]:
        """Return the sitemap, which covers all departments."""
        named = frozenset(str(rule.class_name) for rule in rules.rules_for(self.rules_museum, classes))
        return [Listing("sitemap", named)] if named else []

    async def enumerate(
        self, client: Client, listing: Listing, since: str | None
    ) -> AsyncIterator[list[ListedObject]]:
        """Yield the ark ids in each file of the sitemap, without duplicates.

        Raises:
            FetchError: A file of the sitemap cannot be fetched.
            StoppingError: The collector is stopping.
            CollectionError: The host ends the run, or the sitemap has no records.
        """
        index = (await client.xml(f"{self._site}/sitemap.xml")).decode("utf-8", "replace")
        parts = [html.unescape(part) for part in _PART.findall(index)]
        if not parts and not _ARK.search(index):
            raise CollectionError("the sitemap has no records", where=self._site, remedy="try again later")
        if not parts:
            yield [ListedObject(ark) for ark in dict.fromkeys(_ARK.findall(index))]
        for part in parts:
            content = (await client.xml(self.fetch_url(part))).decode("utf-8", "replace")
            yield [ListedObject(ark) for ark in dict.fromkeys(_ARK.findall(content))]

    @property
    def _site(self) -> str:
        return self.hosts["site"].base

    def record_url(self, object_id: str) -> str:
        """Return the URL of a record.

        Raises:
            RecordError: Not a valid id of this museum.
        """
        if not re.fullmatch(r"cl[0-9]{6,12}", object_id):
            raise RecordError("not an ark id of the Louvre")
        return f"{self._site}/ark:/53355/{object_id}.json"

    def read(self, raw: Any, object_id: str, listing: str, size: Size) -> Record:
        """Parse a record; the site has photographs of one size.

        Raises:
            RecordError: The object must not or cannot be used.
        """
        if not isinstance(raw, dict):
            raise RecordError("the record is not an object")
        # Some keys have a trailing blank: "modified " is documented as "modified".
        raw = {key.strip(): value for key, value in raw.items()}
        if raw.get("arkId") != object_id:
            raise RecordError(f"the record is of {raw.get('arkId')}", final=False)
        department = text_of(raw, "collection", required=True)
        begin, end, period = _dating(raw.get("dateCreated"))
        return Record(
            object_id=object_id,
            department=department,
            source_url=f"{self.hosts['site'].public}/ark:/53355/{object_id}.json",
            permalink=text_of(raw, "url") or f"{self.hosts['site'].public}/ark:/53355/{object_id}",
            licence=self.museum.licence,
            credit=f"{self.museum.name}, {department}",
            title=text_of(raw, "title"),
            object_name=text_of(raw, "objectType") or text_of(raw, "title").partition(";")[0].strip(),
            culture="",
            period=period,
            place=text_of(raw, "placeOfCreation"),
            begin_year=begin,
            end_year=end,
            photographs=self._photographs(raw),
        )

    def _photographs(self, raw: dict[str, Any]) -> tuple[Photograph, ...]:
        images = raw.get("image")
        if not isinstance(images, list):
            raise RecordError("'image' is missing or not a list")
        if not images:
            raise RecordError("no photograph")
        skipped = [fold(word) for word in self.skip_views]
        photographs: dict[str, Photograph] = {}
        for image in sorted((i for i in images if isinstance(i, dict)), key=_position):
            url = image.get("urlImage")
            kind = fold(str(image.get("type") or ""))
            if isinstance(url, str) and url and not any(word in kind for word in skipped):
                encoded = percent_encode(url)
                photographs.setdefault(encoded, Photograph(encoded, text_of(image, "copyright") or None))
        if not photographs:
            raise RecordError("all photographs are of backs, details or marks")
        return tuple(photographs.values())


def _position(image: dict[str, Any]) -> int:
    position = image.get("position")
    return position if isinstance(position, int) else 0


def _dating(dates: Any) -> tuple[int | None, int | None, str]:
    """Return first and last year of all datings, and their texts."""
    if dates is None:
        return None, None, ""
    if not isinstance(dates, list) or not all(isinstance(date, dict) for date in dates):
        raise RecordError("'dateCreated' is not a list of datings")
    begins = [year for date in dates if (year := year_of(date.get("startYear"))) is not None]
    ends = [year for date in dates if (year := year_of(date.get("endYear"))) is not None]
    texts = dict.fromkeys(filter(None, (text_of(date, "text") for date in dates)))
    begin, end = years(min(begins, default=None), max(ends, default=None))
    return begin, end, " ; ".join(texts)
