"""Write ``manifest.parquet``, ``dataset.json`` and the attributions of a collection from its ledger."""

from __future__ import annotations

import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from heritage.collection.ledger import Ledger
from heritage.collection.ledger_check import REMEDY, parsed
from heritage.collection.rules import ClassRules
from heritage.core.attribution import ATTRIBUTION_FILE, attribution
from heritage.core.escaping import markdown_row
from heritage.core.files import write_text
from heritage.core.manifest import SCHEMA, Manifest
from heritage.core.museums import STANDARD_LICENCES, Museum, museum_of, read_museums
from heritage.errors import CollectionError

PLACEHOLDER_REPEATS = 5
"""The same bytes from this many URLs are treated as a placeholder."""

_FIELDS = (
    "source_url", "licence", "permalink", "title", "object_name", "culture", "period", "begin_year",
    "end_year",
)  # fmt: skip

_YEARS = ("begin_year", "end_year")
_LARGEST_YEAR = 1 << 31  # of the manifest's columns

_COLUMNS = pa.schema([field for field in SCHEMA if field.name not in ("split", "phash")])
_BATCH = 5_000
_MUSEUM = "museum:"  # a museum's facts in the ledger

_ROWS = """
SELECT i.id, i.file, i.url, i.sha256, i.width, i.height, i.bytes, i.credit,
       o.museum, o.object_id, o.class, o.rule, o.fields
FROM images i
JOIN views v ON v.image = i.id
JOIN objects o ON o.museum = v.museum AND o.object_id = v.object_id
WHERE i.state = 'stored' AND o.class IS NOT NULL
  AND o.state IN ('labelled', 'changed', 'failed') -- the latter two: still in the collection
ORDER BY i.id, (o.museum, o.object_id) != (i.museum, i.object_id), o.museum, o.object_id
"""


def write_manifest(ledger: Ledger, folder: Path, rules: ClassRules) -> Manifest | None:
    """Write the manifest of all photographs that are stored and labelled.

    A photograph shared by several objects is one row, with the object it is named after; these objects form
    one group. If they are of different classes, or if the same bytes came from many URLs, the row has the
    status ``dropped`` and the reason.

    Returns:
        The manifest, or None if there is no photograph yet.
    """
    groups = _groups(ledger)
    repeated = {
        digest
        for (digest,) in ledger.query(
            "SELECT sha256 FROM images WHERE state = 'stored' GROUP BY sha256 HAVING count(*) >= ?",
            (PLACEHOLDER_REPEATS,),
        )
    }
    table = pa.Table.from_batches(_batches(ledger, groups, repeated), schema=_COLUMNS)
    if not table.num_rows:
        return None
    museums = described_museums(ledger)
    manifest = replace(Manifest.build(table, folder, rules.classes), museums=museums)
    manifest.write(folder, {"collection": rules.name, "rules": rules.fingerprint})
    return manifest


def describe_museum(ledger: Ledger, museum: Museum) -> None:
    """Record a museum's facts in the ledger: the configuration of a later run may not have them."""
    ledger.put(f"{_MUSEUM}{museum.code}", json.dumps(asdict(museum), ensure_ascii=False))


def described_museums(ledger: Ledger) -> dict[str, Museum]:
    """Return the museums in a ledger, by code; version 0.1 recorded no facts about them."""
    facts = ledger.query("SELECT value FROM meta WHERE substr(key, 1, length(?1)) = ?1", (_MUSEUM,))
    known = read_museums(parsed(value, "a museum's description") for (value,) in facts)
    codes = [str(code) for (code,) in ledger.query("SELECT DISTINCT museum FROM images")]
    return {code: museum_of(code, known) for code in codes}


def _batches(ledger: Ledger, groups: dict[str, str], repeated: set[str]) -> Iterator[pa.RecordBatch]:
    """Yield the rows in batches: as Arrow columns they need a fraction of the memory of dictionaries."""
    images = _by_image(ledger)
    while batch := [_row(rows, groups, repeated) for rows in itertools.islice(images, _BATCH)]:
        yield pa.RecordBatch.from_pylist(batch, schema=_COLUMNS)


def _by_image(ledger: Ledger) -> Iterator[list[tuple[Any, ...]]]:
    rows: list[tuple[Any, ...]] = []
    for row in ledger.query(_ROWS):
        if rows and rows[0][0] != row[0]:
            yield rows
            rows = []
        rows.append(row)
    if rows:
        yield rows


def _row(rows: list[tuple[Any, ...]], groups: dict[str, str], repeated: set[str]) -> dict[str, Any]:
    _, file, url, digest, width, height, size, credit, museum, object_id, class_name, rule, stored_fields = (
        rows[0]
    )
    fields = _described(stored_fields)
    classes = sorted({row[10] for row in rows})
    reason = None
    if len(classes) > 1:
        reason = f"shared by objects of {' and '.join(classes)}"
    elif digest in repeated:
        reason = f"the same bytes came from {PLACEHOLDER_REPEATS} or more URLs: a placeholder"
    key = f"{museum}-{object_id}"
    return {
        "image_id": Path(file).stem,
        "file": file,
        "class": class_name,
        "museum": museum,
        "object_id": object_id,
        "group_id": groups.get(key, key),
        "image_url": url,
        "credit": credit or fields["credit"],
        "rule": rule,
        "sha256": digest,
        "width": width,
        "height": height,
        "bytes": size,
        "status": "dropped" if reason else "kept",
        "reason": reason,
        **{name: fields[name] for name in _FIELDS},
    }


def _described(stored: str) -> dict[str, Any]:
    """Return an object's description in the ledger.

    Raises:
        CollectionError: It is damaged.
    """
    fields = parsed(stored, "an object's description")
    if not isinstance(fields, dict):
        fields = {}
    for name in ("credit", *_FIELDS):
        value = fields.get(name, ...)
        if name in _YEARS:
            valid = value is None or (type(value) is int and abs(value) < _LARGEST_YEAR)
        else:
            valid = isinstance(value, str)
        if not valid:
            raise CollectionError(
                f"an object's description has no valid '{name}'", where="the ledger", remedy=REMEDY
            )
    return fields


def _groups(ledger: Ledger) -> dict[str, str]:
    """Return the group of each object that shares photographs with others: the first of its component."""
    leader: dict[str, str] = {}

    def find(key: str) -> str:
        while leader.setdefault(key, key) != key:
            key = leader[key]
        return key

    sharing: dict[int, list[str]] = defaultdict(list)
    for image, museum, object_id in ledger.query(
        "SELECT image, museum, object_id FROM views WHERE image IN "
        "(SELECT image FROM views GROUP BY image HAVING count(*) > 1) ORDER BY museum, object_id"
    ):
        sharing[image].append(f"{museum}-{object_id}")
    for keys in sharing.values():
        heads = sorted({find(key) for key in keys})
        for head in heads[1:]:
            leader[head] = heads[0]
    return {key: find(key) for key in list(leader)}


LICENCES_FILE = "LICENCES.md"


def write_attribution(manifest: Manifest, folder: Path) -> None:
    """Write ``ATTRIBUTION.md`` (a line per photograph) and ``LICENCES.md`` (what each licence permits)."""
    names = [PurePosixPath(file).name for file in manifest.column("file") if file]
    write_text(folder / ATTRIBUTION_FILE, attribution(manifest, names))
    write_text(folder / LICENCES_FILE, _licences(manifest))


def _licences(manifest: Manifest) -> str:
    counts = Counter(zip(manifest.column("licence"), manifest.column("museum"), strict=True))
    rows = ""
    for (licence, code), number in sorted(counts.items()):
        museum = manifest.museum(code)
        rows += markdown_row((licence, museum.name, f"{number:,}", _permitted_use(museum, licence))) + "\n"
    return (
        "# Licences\n\n"
        f"| licence | museum | photographs | permitted use |\n|---|---|---:|---|\n{rows}"
        "\nThe museums' descriptions of the objects have their own open licences. The credit of each "
        f"photograph is in `{ATTRIBUTION_FILE}` and in the manifest's columns `licence`, `credit` and "
        "`permalink`.\n"
    )


def _permitted_use(museum: Museum, licence: str) -> str:
    if licence == museum.licence and museum.permitted_use is not None:
        return museum.permitted_use
    return STANDARD_LICENCES.get(licence, "")
