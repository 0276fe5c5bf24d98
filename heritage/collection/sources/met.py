"""The Metropolitan Museum of Art, New York: metadata and public-domain photographs under CC0.

Objects are listed by department id (``/v1/objects?departmentIds=…``); the search endpoint is retired and
limits the number of results. Departments are identified by id because several have other names in records.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from heritage.collection.http.client import Client
from heritage.collection.record import (
    Photograph,
    Record,
    RecordError,
    Size,
    fold,
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
from heritage.core.csv_files import CsvError, read_records
from heritage.core.files import LFS_POINTER
from heritage.core.option_types import FilePath
from heritage.errors import CollectionError, ConfigError

_PAGE = 10_000
_MAX_POINTER = 1024  # bytes


@dataclass(frozen=True, kw_only=True)
class MetSource(Source):
    """The Met's API.

    Attributes:
        departments: Department ids and their names in records.
        csv: Path of a copy of MetObjects.csv, from which ids are selected without a request.
    """

    departments: dict[int, list[str]]
    csv: FilePath | None
    rules_museum: ClassVar[str] = "MET"

    def listings(self, rules: ClassRules, classes: tuple[str, ...]) -> list[Listing]:
        """Return the departments named by the rules of these classes; with a dump, one listing per class.

        Raises:
            ConfigError: A rule names no department.
        """
        if self.csv is not None:
            return [Listing(f"csv:{name}", frozenset({name}), "labelled") for name in classes]
        classes_of: dict[str, set[str]] = {}
        for rule in rules.rules_for(self.rules_museum, classes):
            if rule.department is None:
                raise ConfigError(
                    f"rule {rule.name} names no department",
                    where=f"collection={rules.name}",
                    remedy="The Met lists its objects by department id: give the rule its departments",
                )
            for department in rule.department:
                if not department.isdecimal():
                    raise ConfigError(
                        f"rule {rule.name} names the department '{department}'",
                        where=f"collection={rules.name}",
                        remedy="give its id, as conf/source/met.yaml lists them: 10 is Egyptian Art",
                    )
                classes_of.setdefault(department, set()).add(str(rule.class_name))
        return [
            Listing(f"department:{key}", frozenset(classes_of[key])) for key in sorted(classes_of, key=int)
        ]

    async def enumerate(
        self, client: Client, listing: Listing, since: str | None
    ) -> AsyncIterator[list[ListedObject]]:
        """Yield the ids of a department; the API returns them in one response, unordered.

        Raises:
            FetchError: The list cannot be fetched.
            StoppingError: The collector is stopping.
            CollectionError: The host ends the run, or the response is not a list of ids.
            ConfigError: The museum has no such department.
        """
        department = listing.key.removeprefix("department:")
        query = f"departmentIds={department}" + (f"&metadataDate={since}" if since else "")
        _, parsed = await client.json(f"{self._api}/v1/objects?{query}", fresh=since is not None)
        ids = parsed.get("objectIDs") if isinstance(parsed, dict) else None
        if ids is None or not isinstance(ids, list):
            raise CollectionError(
                "unexpected format of The Met's list of objects", where=listing.key,
                remedy="try again later; if the error persists, the API has changed",
            )  # fmt: skip
        if not ids and since is None:
            raise ConfigError(
                "The Met has no such department",
                where=f"source.departments, department {department}",
                remedy="give the number of a department of The Met",
            )
        for start in range(0, len(ids), _PAGE):
            yield [ListedObject(listed_id(i)) for i in ids[start : start + _PAGE]]

    def record_url(self, object_id: str) -> str:
        """Return the URL of a record.

        Raises:
            RecordError: Not a valid id of this museum.
        """
        if not (is_object_number(object_id)):
            raise RecordError("not an object id of The Met")
        return f"{self._api}/v1/objects/{object_id}"

    @property
    def _api(self) -> str:
        return self.hosts["api"].base

    def read(self, raw: Any, object_id: str, listing: str, size: Size) -> Record:
        """Parse a record of the schema of 2019 (49 keys) or of today (57 keys).

        Raises:
            RecordError: The object must not or cannot be used.
        """
        if not isinstance(raw, dict):
            raise RecordError("the record is not an object")
        if str(raw.get("objectID")) != object_id:
            raise RecordError(f"the record is of object {raw.get('objectID')}", final=False)
        if not isinstance(raw.get("isPublicDomain"), bool):
            raise RecordError("'isPublicDomain' is missing or not a boolean")
        if not raw["isPublicDomain"]:
            raise RecordError("not in the public domain")
        begin, end = years(year_of(raw.get("objectBeginDate")), year_of(raw.get("objectEndDate")))
        return Record(
            object_id=object_id,
            department=self._department(text_of(raw, "department", required=True), listing),
            source_url=f"{self.hosts['api'].public}/v1/objects/{object_id}",
            permalink=text_of(raw, "objectURL") or self.museum.page_of(object_id) or "",
            licence=self.museum.licence,
            credit=", ".join(filter(None, [self.museum.name, text_of(raw, "creditLine")])),
            title=text_of(raw, "title"),
            object_name=text_of(raw, "objectName"),
            culture=text_of(raw, "culture"),
            period=text_of(raw, "period"),
            place=" ; ".join(filter(None, (text_of(raw, key) for key in ("country", "region", "subregion")))),
            begin_year=begin,
            end_year=end,
            photographs=self._photographs(raw, size),
        )

    def _photographs(self, raw: dict[str, Any], size: Size) -> tuple[Photograph, ...]:
        primary = raw.get("primaryImageSmall") if size == "web" else raw.get("primaryImage")
        primary = primary or raw.get("primaryImage")
        if not isinstance(primary, str) or not primary:
            raise RecordError("no photograph")
        others = raw.get("additionalImages") or []
        if not isinstance(others, list):
            raise RecordError("'additionalImages' is not a list")
        # Some records list the primary photograph again among the others, in its original size.
        repeated = {primary, raw.get("primaryImage")}
        urls = [primary, *(url for url in others if isinstance(url, str) and url and url not in repeated)]
        encoded = (percent_encode(url) for url in urls)
        return tuple(Photograph(url) for url in dict.fromkeys(encoded))

    def _department(self, name: str, listing: str) -> str:
        """Return the department's id, from the listing or else from the name."""
        kind, _, key = listing.partition(":")
        if kind == "department":
            return key
        for number, names in self.departments.items():
            if fold(name) in map(fold, names):
                return str(number)
        return name

    def dump(self, path: Path) -> Iterator[tuple[str, Record | RecordError]]:
        """Yield the record of each object in MetObjects.csv, which has no photographs.

        Raises:
            ConfigError: The file cannot be read or is not such a dump.
        """
        try:
            if path.stat().st_size < _MAX_POINTER and path.read_bytes().startswith(LFS_POINTER):
                raise ConfigError(
                    "a Git LFS pointer and not the table", where=path,
                    remedy="run `git lfs pull` in its folder, or download MetObjects.csv in the browser",
                )  # fmt: skip
            with path.open(encoding="utf-8-sig", newline="") as file:
                first = file.readline()
                file.seek(0)
                separator = max(",;\t", key=first.count)  # a spreadsheet may have saved it
                for number, row in enumerate(read_records(file, separator=separator)):
                    if not number and "Object ID" not in row:
                        raise ConfigError(
                            "not a MetObjects.csv: no column 'Object ID'",
                            where=path,
                            remedy="give The Met's own file by source.csv",
                        )
                    yield row["Object ID"], self._row(row)
        except (OSError, UnicodeDecodeError, CsvError) as error:
            raise ConfigError(
                f"cannot be read ({error})", where=path, remedy="download MetObjects.csv again"
            ) from error

    def _row(self, row: dict[str, str]) -> Record | RecordError:
        public = (row.get("Is Public Domain") or "").strip().lower()
        if public not in ("true", "false"):
            return RecordError(f"'Is Public Domain' is neither true nor false ({public[:20]!r})")
        if public == "false":
            return RecordError("not in the public domain")
        try:
            begin, end = years(year_of(row.get("Object Begin Date")), year_of(row.get("Object End Date")))
            return Record(
                object_id=row["Object ID"],
                department=self._department(row["Department"], ""),
                source_url=f"{self.hosts['api'].public}/v1/objects/{row['Object ID']}",
                permalink=row.get("Link Resource") or "",
                licence=self.museum.licence,
                credit=row.get("Credit Line") or "",
                title=plain_text(row.get("Title") or ""),
                object_name=plain_text(row.get("Object Name") or ""),
                culture=row.get("Culture") or "",
                period=row.get("Period") or "",
                place=" ; ".join(filter(None, (row.get(key) for key in ("Country", "Region", "Subregion")))),
                begin_year=begin,
                end_year=end,
                photographs=(),
            )
        except (RecordError, KeyError) as error:
            return RecordError(f"a damaged row ({error})")
