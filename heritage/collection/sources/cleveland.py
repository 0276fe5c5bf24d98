"""The Cleveland Museum of Art: metadata and photographs under CC0.

Lists include the records, so that reading an object costs no request.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import quote

from heritage.collection.http.client import Client
from heritage.collection.record import (
    Photograph,
    Record,
    RecordError,
    Size,
    is_object_number,
    listed_id,
    percent_encode,
    plain_text,
    text_of,
    year_of,
    years,
)
from heritage.collection.rules import ClassRules
from heritage.collection.sources.source import ListedObject, Listing, Source
from heritage.core.types import PositiveInt
from heritage.errors import CollectionError, ConfigError


@dataclass(frozen=True, kw_only=True)
class ClevelandSource(Source):
    """Cleveland's open-access API.

    Attributes:
        page: Records per page of a list.
    """

    page: PositiveInt
    rules_museum: ClassVar[str] = "CLEVELAND"

    def listings(self, rules: ClassRules, classes: tuple[str, ...]) -> list[Listing]:
        """Return the departments named by the rules of these classes.

        Raises:
            ConfigError: A rule names no department.
        """
        classes_of: dict[str, set[str]] = {}
        for rule in rules.rules_for(self.rules_museum, classes):
            if rule.department is None:
                raise ConfigError(
                    f"rule {rule.name} names no department", where=f"collection={rules.name}",
                    remedy="give the rule its departments",
                )  # fmt: skip
            for department in rule.department:
                classes_of.setdefault(department, set()).add(str(rule.class_name))
        return [Listing(f"department:{name}", frozenset(classes_of[name])) for name in sorted(classes_of)]

    async def enumerate(
        self, client: Client, listing: Listing, since: str | None
    ) -> AsyncIterator[list[ListedObject]]:
        """Yield pages of a department's CC0 records with photographs.

        Raises:
            FetchError: A page cannot be fetched.
            StoppingError: The collector is stopping.
            CollectionError: The host ends the run, or a page has an unexpected format.
        """
        department = quote(listing.key.removeprefix("department:"))
        query = f"cc0=1&has_image=1&department={department}&limit={self.page}"
        query += f"&updated_after={since}" if since else ""
        skip, before = 0, None
        while True:
            _, parsed = await client.json(
                f"{self._api}/artworks/?{query}&skip={skip}", fresh=since is not None
            )
            records = parsed.get("data") if isinstance(parsed, dict) else None
            if not isinstance(records, list):
                raise CollectionError(
                    "unexpected format of Cleveland's list of artworks", where=listing.key,
                    remedy="try again later; if the error persists, the API has changed",
                )  # fmt: skip
            if not records:
                return
            page = [_listed(one) for one in records]
            if page == before:
                raise CollectionError(
                    f"Cleveland's list of artworks repeats itself after {skip:,}", where=listing.key,
                    remedy="try again later; if the error persists, the API has changed",
                )  # fmt: skip
            yield page
            before = page
            skip += len(records)

    @property
    def _api(self) -> str:
        return self.hosts["api"].base

    def record_url(self, object_id: str) -> str:
        """Return the URL of a record.

        Raises:
            RecordError: Not a valid id of this museum.
        """
        if not (is_object_number(object_id)):
            raise RecordError("not an artwork id of Cleveland's")
        return f"{self._api}/artworks/{object_id}"

    def read(self, raw: Any, object_id: str, listing: str, size: Size) -> Record:
        """Parse a record, as included in a list or as requested for one artwork.

        Raises:
            RecordError: The artwork must not or cannot be used.
        """
        if isinstance(raw, dict) and isinstance(raw.get("data"), dict):
            raw = raw["data"]
        if not isinstance(raw, dict) or str(raw.get("id")) != object_id:
            raise RecordError("the record is of another artwork", final=False)
        if raw.get("share_license_status") != "CC0":
            raise RecordError("not under CC0")
        begin, end = years(
            year_of(raw.get("creation_date_earliest")), year_of(raw.get("creation_date_latest"))
        )
        cultures = raw.get("culture") or []
        if not isinstance(cultures, list):
            raise RecordError("'culture' is not a list")
        return Record(
            object_id=object_id,
            department=text_of(raw, "department", required=True),
            source_url=f"{self.hosts['api'].public}/artworks/{object_id}",
            permalink=text_of(raw, "url"),
            licence=self.museum.licence,
            credit=", ".join(filter(None, [self.museum.name, text_of(raw, "creditline")])),
            title=text_of(raw, "title"),
            object_name=text_of(raw, "type"),
            culture=" ; ".join(plain_text(str(culture)) for culture in cultures),
            period="",
            place="",
            begin_year=begin,
            end_year=end,
            photographs=(self._photograph(raw.get("images"), size),),
        )

    def _photograph(self, images: Any, size: Size) -> Photograph:
        # The "full" size is a TIFF of some hundred megabytes; "print" is the largest JPEG.
        sizes = ("web", "print") if size == "web" else ("print", "web")
        for name in sizes:
            image = images.get(name) if isinstance(images, dict) else None
            if isinstance(image, dict) and isinstance(image.get("url"), str) and image["url"]:
                return Photograph(percent_encode(image["url"]))
        raise RecordError("no photograph")


def _listed(record: Any) -> ListedObject:
    number = record.get("id") if isinstance(record, dict) else record
    if not is_object_number(number):
        return ListedObject(listed_id(number))  # without the record: it is refused for its id
    return ListedObject(str(number), json.dumps(record).encode())
