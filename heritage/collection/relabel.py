"""Apply changed class rules to the records in the ledger, without a request."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from heritage.collection.image_validation import IMAGES, file_stem
from heritage.collection.ledger import Ledger, unpacked
from heritage.collection.ledger_check import REMEDY, parsed
from heritage.collection.ledger_rows import ImageRow, ImageState, ObjectRow, ObjectState
from heritage.collection.record import RecordError
from heritage.collection.rules import ClassRules
from heritage.collection.sources.source import Source
from heritage.core.taxonomy import parse_image_name
from heritage.errors import CollectionError

_RULES = "rules"
_PAGE = 500


def stored_records(ledger: Ledger, museum: str) -> Iterator[tuple[ObjectRow, bytes]]:
    """Yield the objects whose record is stored, in pages, so that they may be changed during iteration."""
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
            raw = unpacked(row[4])
            yield ObjectRow(row[0], row[1], row[2], row[3], raw), raw
        after = rows[-1][1]


def relabel(source: Source, ledger: Ledger, rules: ClassRules, folder: Path) -> int:
    """Label all objects again if the rules have changed, and rename photographs whose class has changed.

    Returns:
        Number of objects whose class or state has changed.
    """
    key = f"{_RULES}:{source.code}"
    before = ledger.get(key)
    if before == rules.fingerprint:
        return 0
    changed = 0
    if before is not None:
        for row, raw in stored_records(ledger, source.code):
            changed += _relabel_object(source, ledger, rules, row, raw)
        ledger.clear_removed_classes(source.code, rules.classes)
        rename_photographs(ledger, source.code, rules, folder)
    ledger.put(key, rules.fingerprint)
    return changed


def _relabel_object(source: Source, ledger: Ledger, rules: ClassRules, row: ObjectRow, raw: bytes) -> bool:
    try:
        record = source.read(parsed(raw, "a record"), row.object_id, row.listing, "web")
    except RecordError:
        return False  # unusable under any rules
    decision = rules.label(source.rules_museum, record)
    ((state, class_name),) = ledger.query(
        "SELECT state, class FROM objects WHERE museum = ? AND object_id = ?", (row.museum, row.object_id)
    )
    # An object without photographs waits until its class has room, and is then read first.
    ledger.record_label(
        row, record, decision, reserve=decision.outcome == "labelled" and not ledger.has_images(row)
    )
    return (state, class_name) != (decision.outcome, decision.class_name) and state != ObjectState.RESERVE


def rename_photographs(ledger: Ledger, museum: str, rules: ClassRules, folder: Path) -> None:
    """Move photographs to the class of the object they are named after, or of another that shows them.

    Changed rules and changed records change classes. A crash is harmless: this runs at the end of each run,
    and a file that already has its new name is not touched.
    """
    rows = ledger.query(
        "SELECT i.id, i.url, o.class, i.class, i.stem, i.attempts, i.file, i.state, o.object_id, "
        "i.object_id, v.position, min(CASE o.object_id WHEN i.object_id THEN '' ELSE o.object_id END) "
        "FROM images i JOIN views v ON v.image = i.id "
        "JOIN objects o ON o.museum = v.museum AND o.object_id = v.object_id "
        "WHERE i.museum = ? AND o.state = 'labelled' GROUP BY i.id",
        (museum,),
    )
    # Only changes are held in memory: few rows, even of a large collection.
    changes = []
    for row in rows:
        class_name, stem, owner, named_after, position = row[2], row[4], row[8], row[9], row[10]
        if class_name not in rules.classes:
            raise CollectionError(
                f"object {owner} has the class '{class_name}', which collection={rules.name} has not",
                where="the ledger",
                remedy=REMEDY,
            )
        new_stem = file_stem(rules.class_id(class_name), museum, owner, position)
        if owner == named_after:
            # Its number stays: the museum may have reordered the photographs since.
            new_stem = str(replace(parse_image_name(stem), class_id=rules.class_id(class_name)))
        if new_stem != stem or class_name != row[3]:
            changes.append((row, new_stem))
    for row, new_stem in changes:
        number, url, class_name, _, stem, attempts, file, state, owner, named_after, *_ = row
        if owner != named_after:
            new_stem = ledger.free_stem(museum, owner, new_stem)
        image = ImageRow(number, url, class_name, new_stem, attempts, file)
        name = file
        if state == ImageState.STORED and new_stem != stem:
            name = f"{IMAGES}/{new_stem}{Path(file).suffix}"
            if (folder / file).exists():
                (folder / file).replace(folder / name)
        ledger.rename_image(image, owner, name)
