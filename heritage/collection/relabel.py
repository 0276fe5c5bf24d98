"""New rules for old records: labels given again from what the ledger keeps, without a request."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from heritage.collection.ledger import Ledger
from heritage.collection.ledger_rows import ImageRow, ImageState, ObjectRow, ObjectState
from heritage.collection.photographs import IMAGES, stem_of
from heritage.collection.record import RecordError
from heritage.collection.rules import ClassRules
from heritage.collection.sources.source import Source
from heritage.core.taxonomy import parse_image_name

_RULES = "rules"
_PAGE = 500


def kept_records(ledger: Ledger, museum: str) -> Iterator[tuple[ObjectRow, bytes]]:
    """Yield the objects of which a record is kept, in pages, so that they may be changed on the way."""
    after = ""
    while True:
        rows = list(
            ledger.query(
                "SELECT museum, object_id, listing, rank, raw FROM objects "
                "WHERE museum = ? AND object_id > ? AND raw IS NOT NULL AND state != 'listed' "
                "ORDER BY object_id LIMIT ?",
                (museum, after, _PAGE),
            )
        )
        if not rows:
            return
        for row in rows:
            raw = zlib.decompress(row[4])
            yield ObjectRow(row[0], row[1], row[2], row[3], raw), raw
        after = rows[-1][1]


def relabel(source: Source, ledger: Ledger, rules: ClassRules, folder: Path) -> int:
    """Label again what was labelled by other rules, and rename the photographs whose class changed.

    Returns:
        How many objects changed their class or state.
    """
    key = f"{_RULES}:{source.code}"
    before = ledger.get(key)
    if before == rules.fingerprint:
        return 0
    changed = 0
    if before is not None:
        for row, raw in kept_records(ledger, source.code):
            changed += _judge_again(source, ledger, rules, row, raw)
        ledger.unlabel_unread(source.code, rules.classes)
        rename(ledger, source.code, rules, folder)
    ledger.put(key, rules.fingerprint)
    return changed


def _judge_again(source: Source, ledger: Ledger, rules: ClassRules, row: ObjectRow, raw: bytes) -> bool:
    try:
        record = source.read(json.loads(raw), row.object_id, row.listing, "web")
    except RecordError:
        return False  # no rule makes it usable
    verdict = rules.label(source.rules_museum, record)
    ((state, class_name),) = ledger.query(
        "SELECT state, class FROM objects WHERE museum = ? AND object_id = ?", (row.museum, row.object_id)
    )
    # An object that was not wanted before has no photographs yet: it waits as spare and is taken up first.
    ledger.judge(row, record, verdict, spare=verdict.outcome == "labelled" and not ledger.is_linked(row))
    return (state, class_name) != (verdict.outcome, verdict.class_name) and state != ObjectState.SPARE


def rename(ledger: Ledger, museum: str, rules: ClassRules, folder: Path) -> None:
    """Give photographs the class of the object they are named after, or of another that shows them.

    Rules change classes, and so do records that the museum changed. A crash in between is harmless: it is
    looked at again at the end of each run, and a file that has its new name already stays.
    """
    rows = ledger.query(
        "SELECT i.id, i.url, o.class, i.class, i.stem, i.attempts, i.file, i.state, o.object_id, "
        "i.object_id, v.position, min(CASE o.object_id WHEN i.object_id THEN '' ELSE o.object_id END) "
        "FROM images i JOIN views v ON v.image = i.id "
        "JOIN objects o ON o.museum = v.museum AND o.object_id = v.object_id "
        "WHERE i.museum = ? AND o.state = 'labelled' GROUP BY i.id",
        (museum,),
    )
    # Only what changes is held: of a whole collection that is little or nothing.
    changing = []
    for row in rows:
        class_name, stem, owner, named_after, position = row[2], row[4], row[8], row[9], row[10]
        wanted = stem_of(rules.class_id(class_name), museum, owner, position)
        if owner == named_after:
            # Its number stays: the museum may have put its photographs into another order since.
            wanted = str(replace(parse_image_name(stem), class_id=rules.class_id(class_name)))
        if wanted != stem or class_name != row[3]:
            changing.append((row, wanted))
    for row, wanted in changing:
        number, url, class_name, _, stem, attempts, file, state, owner, named_after, *_ = row
        if owner != named_after:
            wanted = ledger.free_stem(museum, owner, wanted)
        image = ImageRow(number, url, class_name, wanted, attempts, file)
        name = file
        if state == ImageState.STORED and wanted != stem:
            name = f"{IMAGES}/{wanted}{Path(file).suffix}"
            if (folder / file).exists():
                (folder / file).replace(folder / name)
        ledger.name_image(image, owner, name)
