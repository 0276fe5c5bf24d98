"""Read table files: CSV in the dialects of spreadsheets, pandas and R, Parquet, and Excel's .xlsx.

The format, the encoding and the separator follow from the content and not from the suffix. Cells of CSV and
Excel are text: identifiers such as 00123 must stay text, and years become numbers later, where the manifest
has numbers.
"""

from __future__ import annotations

import csv
import io
import logging
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from heritage.core.bounded_read import require_regular
from heritage.core.column_names import column_name, unique_names
from heritage.core.csv_files import restored
from heritage.core.excel_sheets import read_sheet
from heritage.core.files import LFS_POINTER
from heritage.core.parquet_files import read_parquet
from heritage.core.text_encoding import SAVE_AS, decode_text
from heritage.errors import ManifestError

log = logging.getLogger(__name__)


_SEPARATORS = (",", ";", "\t", "|")
_EMPTY = " ,;\t|\r\n"
_HEAD = 65_536  # characters from which the separator is found
_RECORDS = 50
_TITLES = 8  # lines above the header
_PANDAS_INDEX = "__index_level_0__"
_OTHER_FORMATS = (
    (b"\xd0\xcf\x11\xe0", "an old Excel file (.xls), or one with a password"),
    (b"\x1f\x8b", "compressed (gzip)"),
    (b"RDX", "an R workspace"),
    (b"ARROW1", "an Arrow or Feather file"),
    (b"<!", "a web page"),
    (b"<html", "a web page"),
    (b"<stata_dta", "a Stata file (.dta)"),
    (b"$FL2", "an SPSS file (.sav)"),
    (b"[{", "JSON"),
    (b"{", "JSON"),
)


def read_table(path: Path, needed: Collection[str] = ()) -> pa.Table:
    """Read a table.

    Column names are stripped of surrounding blanks. Titles above the header, columns without a name, such as
    the index of pandas and the row names of R, and rows without any value are left out. The second of two
    columns of one name is renamed to ``name.2``.

    Args:
        path: The file.
        needed: Columns that must not occur twice; of an Excel file with several sheets, the first one that
            has any of them is read.

    Returns:
        The table; the columns of CSV and Excel are text, with empty cells as null.

    Raises:
        ManifestError: It cannot be read, or has one of ``needed`` twice.
        MissingDependencyError: It is an Excel table, and openpyxl is not installed.
    """
    try:
        require_regular(path)
        with path.open("rb") as file:
            head = file.read(len(LFS_POINTER))
        if head.startswith(b"PAR1"):
            return _without_unnamed(read_parquet(path), path, needed)
        if head.startswith(b"PK\x03\x04"):
            return _without_empty_rows(_read_excel(path, needed))
        _refuse_other_formats(head, path)
        return _without_empty_rows(_read_csv(decode_text(path.read_bytes(), path), path, needed))
    except (pa.ArrowInvalid, pa.ArrowKeyError, pa.ArrowNotImplementedError, OSError, csv.Error) as error:
        raise ManifestError(f"unreadable table: {error}", where=path, remedy=SAVE_AS) from error


def _refuse_other_formats(head: bytes, path: Path) -> None:
    if not head:
        raise ManifestError("the table is empty", where=path, remedy="save it again, or name another one")
    if head.startswith(LFS_POINTER):
        raise ManifestError(
            "a Git LFS pointer and not the table",
            where=path,
            remedy="run `git lfs pull` in its folder",
        )
    for magic, name in _OTHER_FORMATS:
        if head.lstrip().startswith(magic):
            raise ManifestError(f"unreadable table: it is {name}", where=path, remedy=SAVE_AS)


def _read_csv(text: str, path: Path, needed: Collection[str]) -> pa.Table:
    if "\x00" in text[:_HEAD]:
        raise ManifestError("unreadable table: a binary file", where=path, remedy=SAVE_AS)
    text = text.removeprefix("\ufeff")
    hint = text[4] if text[:4].lower() == "sep=" and text[5:6] in "\r\n" else None  # for Excel
    text = _without_titles(text[5:] if hint else text, path, needed)
    separator, quote, escape = _dialect(text, hint or _separator(text, needed))
    stream = io.StringIO(text, newline="")
    header = next(csv.reader(stream, delimiter=separator, quotechar=quote, escapechar=escape), [])
    if not any(header):
        raise ManifestError("the table is empty", where=path, remedy="save it again, or name another one")
    body = text[stream.tell() :]
    names = [column_name(name) for name in header]
    records = _records(body, separator, quote, escape)
    names = [*names, ""] if _ends_in_separators(records, len(names)) else names
    names = ["", *names] if _has_row_names(records, len(names)) else names
    columns = unique_names(names, path, needed)
    if not body.strip():
        return pa.table({name: pa.array([], pa.string()) for name in columns if name})
    faults: list[pa_csv.InvalidRow] = []

    def record(row: pa_csv.InvalidRow) -> str:
        faults.append(row)
        return "skip"

    table = pa_csv.read_csv(
        pa.BufferReader(body.encode()),
        # one thread: only then do faults have the number of their row
        read_options=pa_csv.ReadOptions(column_names=columns, use_threads=False),
        parse_options=pa_csv.ParseOptions(
            delimiter=separator,
            quote_char=quote,
            escape_char=escape or False,
            newlines_in_values=True,
            invalid_row_handler=record,
        ),
        convert_options=pa_csv.ConvertOptions(
            column_types=dict.fromkeys(columns, pa.string()), strings_can_be_null=True, null_values=[""]
        ),
    )
    if faults:
        row = faults[0]
        raise ManifestError(
            f"unreadable table: row {row.number} has {row.actual_columns} "
            f"{'cell' if row.actual_columns == 1 else 'cells'} instead of {row.expected_columns}",
            where=path,
            remedy="correct the row; put cells that contain the separator in quotes",
        )
    return restored(_select_named(table, names))


class _Dialect(NamedTuple):
    separator: str
    quote: str = '"'
    escape: str | None = None


def _dialect(text: str, separator: str) -> _Dialect:
    """Return a CSV's dialect: with another quotation mark or an escape if only so all rows fit the header."""
    plain = _Dialect(separator)
    for dialect in (plain, plain._replace(escape="\\"), plain._replace(quote="'")):
        if len({len(record) for record in _records(text, *dialect)}) == 1:
            return dialect
    return plain


def _separator(text: str, needed: Collection[str] = ()) -> str:
    """Return the separator that gives the most rows the width of the header."""
    head = text[:_HEAD]
    scores = {}
    for separator in _SEPARATORS:
        widths = [len(record) for record in _records(text, separator)]
        if widths and widths[0] > 1:
            fitting = sum(width - widths[0] in (0, 1) for width in widths[1:])
            scores[separator] = (fitting / max(len(widths) - 1, 1), widths[0])
    if scores:
        return max(scores, key=lambda separator: scores[separator])
    return " " if _is_separated_by_blanks(head, needed) else ","


def _is_separated_by_blanks(head: str, needed: Collection[str]) -> bool:
    """Return whether a text is of R's ``write.table``, with or without quotation marks.

    Without them, two columns must be among the needed ones, as names of files may have blanks, too.
    """
    header, *rows = _records(head, " ") or [[]]
    if head.startswith('"'):
        return '" "' in re.split(r"[\r\n]", head, maxsplit=1)[0]
    names = {column_name(name).casefold() for name in header}
    fits = {len(row) for row in rows} in ({len(header)}, {len(header) + 1})
    return fits and len(names & {name.casefold() for name in needed}) > 1


def _records(text: str, separator: str, quote: str = '"', escape: str | None = None) -> list[list[str]]:
    """Return the first records of a text."""
    head = text[:_HEAD]
    records: list[list[str]] = []
    try:
        for record in csv.reader(
            io.StringIO(head, newline=""), delimiter=separator, quotechar=quote, escapechar=escape
        ):
            if record:
                records.append(record)
            if len(records) > _RECORDS:
                return records
    except csv.Error:
        return records
    return records[:-1] if len(head) < len(text) and len(records) > 1 else records


def _widths(text: str, separator: str) -> set[int]:
    return {len(record) for record in _records(text, separator) if any(record)}


def _without_titles(text: str, path: Path, needed: Collection[str]) -> str:
    """Leave out empty lines, comments and titles above the header."""
    head, start = text[:_HEAD], 0
    for line in re.finditer(r"[^\r\n]*(?:\r\n|\r|\n)", head):
        if line[0].strip(_EMPTY):
            written, below = line[0].rstrip(_EMPTY), head[line.end() :]
            if not _is_comment(written, needed) and not _is_title(written, below):
                break
            log.info("%s: the line '%s' above the header is left out", path, line[0].strip(_EMPTY))
        start = line.end()
    return text[start:]


def _is_comment(line: str, needed: Collection[str]) -> bool:
    """Return whether a line begins with ``#`` and has none of the columns that are needed."""
    if not line.startswith("#") or not needed:
        return False
    cells = {column_name(cell).casefold() for cell in re.split(r"[,;\t|]", line.lstrip("#"))}
    return not cells & {name.casefold() for name in needed}


def _is_title(line: str, below: str, depth: int = 0) -> bool:
    """Return whether a line is a title: it has fewer cells than all lines below, which are of one width.

    With one cell less, it may be a header that does not name the column of R's row names, unless an empty
    line follows. Further titles may be below.
    """
    whole = [_widths(line + "\n" + below, separator) for separator in _SEPARATORS]
    if any(len(widths) == 1 and max(widths) > 1 for widths in whole):
        return False
    separator = _separator(below.lstrip(_EMPTY))
    widths = _widths(below, separator)
    if len(widths) != 1:
        following, _, rest = below.lstrip(_EMPTY).replace("\r\n", "\n").replace("\r", "\n").partition("\n")
        more = depth < _TITLES and rest and _is_title(following.rstrip(_EMPTY), rest, depth + 1)
        return bool(more) and _is_title(line, rest, depth + 1)
    cells = len(next(csv.reader([line], delimiter=separator), []))
    if cells >= max(widths):
        return False
    gap = not re.split(r"\r\n|\r|\n", below, maxsplit=1)[0].strip(_EMPTY)
    return gap or (cells == 1 and (max(widths) > 2 or " " in line))


def _has_row_names(records: Sequence[Sequence[str]], columns: int) -> bool:
    """Return whether rows have one cell more than the header: R leaves the names of rows unnamed."""
    return {len(record) for record in records} == {columns + 1}


def _ends_in_separators(records: Sequence[Sequence[str]], columns: int) -> bool:
    """Return whether all rows have an empty cell more than the header, at their end."""
    return bool(records) and all(len(record) == columns + 1 and not record[-1] for record in records)


def _read_excel(path: Path, needed: Collection[str]) -> pa.Table:
    rows = read_sheet(path, needed)
    names = [column_name(name or "") for name in rows[0]]
    columns = unique_names(names, path, needed)
    cells = {
        column: pa.array([row[n] if n < len(row) else None for row in rows[1:]], pa.string())
        for n, column in enumerate(columns)
    }
    return _select_named(pa.table(cells), names)


def _select_named(table: pa.Table, names: Sequence[str]) -> pa.Table:
    """Return the columns that have a name."""
    return table.select([number for number, name in enumerate(names) if name])


def _without_unnamed(table: pa.Table, path: Path, needed: Collection[str]) -> pa.Table:
    names = [column_name(name) for name in table.column_names]
    named = _select_named(table.rename_columns(unique_names(names, path, needed)), names)
    return named.drop_columns([_PANDAS_INDEX]) if _PANDAS_INDEX in named.column_names else named


def _without_empty_rows(table: pa.Table) -> pa.Table:
    """Leave out rows without any value, which spreadsheets write below the last one."""
    if not table.num_columns or not table.column(0).null_count:
        return table
    filled = pc.is_valid(table.column(0))
    for column in table.columns[1:]:
        filled = pc.or_(filled, pc.is_valid(column))
    return table.filter(filled)
