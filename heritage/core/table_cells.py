"""Columns of people's tables as the manifest has them: text, labels, and whole numbers.

A cell that is needed and cannot be read is an error that names its row. A column that only describes the
images never stops anything: what cannot be read in it is left empty, with a warning.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from heritage.core.image_folders import split_of
from heritage.core.labels import clean_label
from heritage.core.manifest import SCHEMA
from heritage.errors import ManifestError

log = logging.getLogger(__name__)

MISSING: frozenset[str] = frozenset({"", "na", "n/a", "#n/a", "nan", "<na>", "null", "none", "nat", "-", "?"})
"""How pandas, R and spreadsheets write that there is no value, in lower case."""

_IDS = ("object_id", "group_id", "image_id")  # two images without one are not of one object
_BEFORE = (
    r"b\.?\s?c\.?(?:\s?e\.?)?|v\.?\s?(?:chr|u\.?\s?z)\.?|(?:av|avant)\.?\s?(?:j\.?-?\s?-?c|n\.?\s?[eè])\.?"
)
_AFTER = r"c\.?\s?e\.?|a\.?\s?d\.?|n\.?\s?chr\.?|u\.?\s?z\.?|(?:ap|apr|après)\.?\s?j\.?-?\s?c\.?"
_NUMBER = re.compile(
    r"(?:c\.|ca\.?|circa|um|vers|env\.?|environ)?\s*(?:a\.?d\.?\s*)?(?P<number>[-+]?\d{1,18})(?:[.,]0*)?\s*"
    rf"(?:(?P<before>{_BEFORE})|{_AFTER})?",
    re.IGNORECASE,
)
_THOUSANDS = re.compile(r"(?<![\d.,])[1-9]\d{0,2}(?:[.,'\u2019\u00a0\u202f ]\d{3})+(?![\d.,])")
_DATE = re.compile(r"(?P<number>-?\d{1,6})-\d\d?-\d\d?(?:[T ].*)?")


def text_column(values: pa.ChunkedArray, name: str, path: Path) -> pa.ChunkedArray:
    """Return a column as text: Parquet also holds numbers, bytes and categories.

    Args:
        values: The column; whole floats become ``1`` and not ``1.0``.
        name: Its name, for messages.
        path: The table, for messages.

    Raises:
        ManifestError: A value cannot be text; the message names its row.
    """
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    try:
        if pa.types.is_floating(values.type):
            values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
        if pa.types.is_floating(values.type) and pc.all(pc.equal(pc.floor(values), values)).as_py():
            values = values.cast(pa.int64())
        return values.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        row = next((row for row in range(len(values)) if not _is_text(values[row])), 0)
        raise ManifestError(
            f"column {name}, row {row + 1}: not text ({str(error)[:80]})",
            where=path,
            remedy="save its values as text in UTF-8",
        ) from error


def label_column(values: pa.ChunkedArray, path: Path) -> pa.ChunkedArray:
    """Return the column of classes, cleaned; a note counts the labels that had superfluous blanks.

    Raises:
        ManifestError: A value is not text.
    """
    text = text_column(values, "class", path)
    cleaned = {label: clean_label(label) for label in pc.unique(text).drop_null().to_pylist()}
    kept = {label: None if new.lower() in MISSING else new for label, new in cleaned.items()}
    original = text.to_pylist()
    changed = sum(label is not None and cleaned[label] != label for label in original)
    if changed:
        log.info("%s: %s labels had blanks or Unicode forms that were normalised", path, f"{changed:,}")
    return pa.chunked_array([[None if label is None else kept[label] for label in original]], pa.string())


def manifest_columns(columns: Mapping[str, pa.ChunkedArray], path: Path) -> dict[str, pa.ChunkedArray]:
    """Return columns with the manifest's types, where it knows them; others stay as they are.

    Args:
        columns: Columns by name.
        path: The table, for messages.

    Raises:
        ManifestError: A cell of ``split`` or of an id cannot be read.
    """
    typed = dict(columns)
    for name, values in columns.items():
        if name in ("file", "class") or name not in SCHEMA.names:
            continue
        kind = SCHEMA.field(name).type
        if name in _IDS or name == "split":
            text = _without_missing(text_column(values, name, path))
            typed[name] = split_column(text) if name == "split" else text
        elif pa.types.is_string(kind):
            typed[name] = _described(values, name, path)
        else:
            typed[name] = _numbers(values, name, kind, path)
    return typed


def split_column(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column of splits under the manifest's names, unchanged if it has other values."""
    names = {value: split_of(value) for value in pc.unique(text).drop_null().to_pylist()}
    if None in names.values():
        return text
    return pa.chunked_array(
        [[None if value is None else names[value] for value in text.to_pylist()]], pa.string()
    )


def whole_number(text: str) -> int | None:
    """Return a whole number or year: ``-500``, ``1850.0``, ``500 BCE``, ``um 300 n. Chr.``."""
    plain = text.strip().replace("\u2212", "-").replace("\u2013", "-")
    plain = _THOUSANDS.sub(lambda found: re.sub(r"\D", "", found[0]), plain)
    match = _DATE.fullmatch(plain) or _NUMBER.fullmatch(plain)
    if match is None:
        return None
    number = int(match["number"])
    return -abs(number) if match.groupdict().get("before") else number


def _numbers(values: pa.ChunkedArray, name: str, kind: pa.DataType, path: Path) -> pa.ChunkedArray:
    """Return a column of whole numbers; what cannot be read is null, with a warning."""
    if pa.types.is_integer(values.type):
        try:
            return values.cast(kind)
        except pa.ArrowInvalid:
            pass
    low, high = _range(kind)
    text = _readable(values, name, path)
    if text is None:
        return pa.chunked_array([pa.nulls(len(values), kind)])
    numbers: dict[str, int | None] = {}
    for value in pc.unique(text).drop_null().to_pylist():
        number = whole_number(value)
        numbers[value] = number if number is not None and low <= number <= high else None
    cells = text.to_pylist()
    faults = [
        row
        for row, value in enumerate(cells)
        if value is not None and numbers[value] is None and value.strip().lower() not in MISSING
    ]
    if faults:
        log.warning(
            "%s: %s values of column %s are not whole numbers and are left empty, first '%s' in row %s",
            path, f"{len(faults):,}", name, cells[faults[0]], faults[0] + 1,
        )  # fmt: skip
    return pa.chunked_array([[None if value is None else numbers[value] for value in cells]], kind)


def _range(kind: pa.DataType) -> tuple[int, int]:
    bits = kind.bit_width
    if pa.types.is_unsigned_integer(kind):
        return 0, 2**bits - 1
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def _described(values: pa.ChunkedArray, name: str, path: Path) -> pa.ChunkedArray:
    text = _readable(values, name, path)
    return pa.chunked_array([pa.nulls(len(values), pa.string())]) if text is None else text


def _readable(values: pa.ChunkedArray, name: str, path: Path) -> pa.ChunkedArray | None:
    """Return a column as text, or None with a warning if it cannot be."""
    try:
        return text_column(values, name, path)
    except ManifestError as error:
        log.warning("%s: %s; the column is left empty", path, error.what)
        return None


def _without_missing(text: pa.ChunkedArray) -> pa.ChunkedArray:
    values = [
        None if value is None or value.strip().lower() in MISSING else value for value in text.to_pylist()
    ]
    return pa.chunked_array([values], pa.string())


def _is_text(value: pa.Scalar) -> bool:
    try:
        value.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return False
    return True
