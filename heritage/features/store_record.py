"""``store.json``: what a feature store was computed from, read with bounds and checked against its type."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from pydantic import Field

from heritage.core.json_files import JsonModel, read_json_file
from heritage.errors import DataError
from heritage.features.array_files import REMOVE
from heritage.features.key import FeatureKey, KeyRecord

log = logging.getLogger(__name__)

STORE_FILE = "store.json"
FORMAT = 1
_MAX_ROWS, _MAX_WIDTH = 1 << 31, 1 << 20
_MAX_RECORD = 1 << 16  # bytes


class _StoreRecord(JsonModel):
    format: int
    key: KeyRecord
    rows: int = Field(ge=1, le=_MAX_ROWS)
    width: int = Field(ge=1, le=_MAX_WIDTH)


def read_record(folder: Path) -> dict[str, Any]:
    """Return the content of ``store.json``.

    Raises:
        DataError: There is none, or it is damaged or of another version.
    """
    path = folder / STORE_FILE
    if not path.is_file():
        raise DataError(
            f"not a feature store (no {STORE_FILE})", where=folder, remedy="make one with `heritage embed`"
        )
    try:
        record: dict[str, Any] = read_json_file(path, _StoreRecord, limit=_MAX_RECORD)
    except (OSError, ValueError) as error:
        raise DataError(f"unreadable: {error}", where=path, remedy=REMOVE) from error
    if record["format"] != FORMAT:
        raise DataError(f"of format {record['format']}, not {FORMAT}", where=path, remedy=REMOVE)
    return record


def key_of(record: dict[str, Any]) -> FeatureKey:
    """Return the key in the content of ``store.json``."""
    values: dict[str, Any] = {item.name: record["key"][item.name] for item in fields(FeatureKey)}
    return FeatureKey(**values | {name: tuple(values[name]) for name in ("mean", "std")})


def stores_in(places: Sequence[Path]) -> Iterator[tuple[Path, FeatureKey]]:
    """Yield the folders and keys of all stores directly in some folders; damaged ones are passed over."""
    for place in places:
        if not place.is_dir():
            continue
        for folder in sorted(path for path in place.iterdir() if (path / STORE_FILE).is_file()):
            try:
                yield folder, key_of(read_record(folder))
            except DataError as error:
                log.warning("%s", error)
