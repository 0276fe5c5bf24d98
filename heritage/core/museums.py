"""Facts about museums: display name, licence, and the page of an object.

They are written once, under ``museum:`` in ``conf/source/<museum>.yaml``. `heritage collect` copies them into
the ``dataset.json`` of a collection, so that reports name a museum correctly even if its configuration file
is in a folder of the user's own.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc
import yaml  # type: ignore[import-untyped]
from pydantic import Field, TypeAdapter, ValidationError

from heritage.core.files import config_dir

DEMO_MUSEUM = "DEMO"
"""The code of the built-in museum, whose images are drawn by this program."""

MuseumCode = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9]*$")]
"""A museum as file names write it: ``MET``."""
Line = Annotated[str, Field(min_length=1, pattern=r"^[^\r\n]*$")]
PageTemplate = Annotated[str, Field(pattern=r"^https?://\S*\{object_id\}\S*$")]


@dataclass(frozen=True, kw_only=True)
class Museum:
    """A museum.

    Attributes:
        code: Its code in file names and in the manifest's column ``museum``.
        name: Its name in reports and credit lines.
        licence: The licence of its photographs: an SPDX identifier or the name of the museum's own terms;
            empty if it differs between records.
        permitted_use: What that licence permits, in a sentence; None for a licence in `STANDARD_LICENCES`.
        object_page: URL of an object's page, with the placeholder ``{object_id}``; None if no URL has the id.
    """

    code: MuseumCode
    name: Line
    licence: str = ""
    permitted_use: Line | None = None
    object_page: PageTemplate | None = None

    def page_of(self, object_id: str) -> str | None:
        """Return the URL of an object's page, or None if it is unknown."""
        if self.object_page is None or not object_id:
            return None
        return self.object_page.replace("{object_id}", quote(object_id, safe=""))


STANDARD_LICENCES: dict[str, str] = {
    "CC0-1.0": "no rights reserved: use, change and publish freely; naming the museum is a courtesy",
}
"""What well-known licences permit, by SPDX identifier."""

_FACTS = TypeAdapter(Museum)


def museum_of(code: str, known: Mapping[str, Museum] | None = None) -> Museum:
    """Return a museum by its code.

    Args:
        code: The code; an unknown one is its own name.
        known: The museums that a data set describes; they take precedence over the configuration files.

    Example:
        >>> museum_of("MET").name
        'The Metropolitan Museum of Art, New York'
        >>> museum_of("ELSEWHERE").name
        'ELSEWHERE'
    """
    museum = (known or {}).get(code) or configured_museums().get(code)
    return museum or Museum(code=code, name=code)


@functools.cache
def configured_museums() -> Mapping[str, Museum]:
    """Return the museums of ``conf/source/*.yaml`` by code."""
    facts = []
    for path in sorted((config_dir() / "source").glob("*.yaml")):
        try:
            content = yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)
        except (OSError, yaml.YAMLError):
            continue  # `heritage collect` reports what is wrong with it
        if isinstance(content, dict):
            # A file of ``@package _global_`` has its source one level further down.
            facts.append(content.get("museum") or (content.get("source") or {}).get("museum"))
    return read_museums(facts)


def read_museums(facts: Iterable[Any]) -> dict[str, Museum]:
    """Return museums by code, from plain data; incomplete entries are left out."""
    museums = {}
    for entry in facts:
        try:
            museum = _FACTS.validate_python(entry)
        except ValidationError:
            continue
        museums[museum.code] = museum
    return museums


def write_museums(museums: Mapping[str, Museum], codes: Iterable[str | None]) -> list[dict[str, Any]]:
    """Return the facts of the museums with these codes as plain data, for ``dataset.json``."""
    used = set(codes)
    return [asdict(museum) for code, museum in sorted(museums.items()) if code in used]


def count_drawn(table: pa.Table) -> int:
    """Return the number of images that are drawings of the built-in museum, not photographs.

    Args:
        table: One row per image, with the column ``museum`` or file names that contain the museum's code.
    """
    of_demo = pa.array([False] * table.num_rows)
    if "museum" in table.column_names:
        of_demo = pc.fill_null(pc.equal(table["museum"].cast(pa.string()), DEMO_MUSEUM), False)
    if "file" in table.column_names:
        named = pc.match_substring_regex(
            table["file"].cast(pa.string()), rf"(^|/)[1-9]\d*_{DEMO_MUSEUM}_[^/]+$"
        )
        of_demo = pc.or_(of_demo, pc.fill_null(named, False))
    return int(pc.sum(of_demo).as_py() or 0)
