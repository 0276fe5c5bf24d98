"""Read the cells of Excel's .xlsx files as text, as Excel shows them."""

from __future__ import annotations

import datetime
import logging
import warnings
import zipfile
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from heritage.core.bounded_read import require_bounded_zip
from heritage.core.column_names import column_name
from heritage.core.text_encoding import SAVE_AS
from heritage.errors import ManifestError, MissingDependencyError

if TYPE_CHECKING:
    from openpyxl import Workbook

log = logging.getLogger(__name__)

MAX_SHEET_BYTES = 1 << 30
"""Size of an Excel file's content; its format takes ten times the size of the cells."""

Rows = list[list[str | None]]


def read_sheet(path: Path, needed: Collection[str]) -> Rows:
    """Read the first sheet that has a needed column, or else the first one that is not empty.

    Titles above the header and empty rows are left out. All rows of a merged cell have its value, and rows
    that a filter hides are read.

    Args:
        path: The file.
        needed: Names of columns.

    Returns:
        The header and the rows, which may be shorter or longer; empty cells are None.

    Raises:
        ManifestError: It is no Excel file, empty, or a needed column has only formulas without results.
        MissingDependencyError: openpyxl is not installed.
    """
    try:
        import openpyxl
    except ImportError as error:
        raise MissingDependencyError(
            "an Excel table, and openpyxl is not installed",
            where=path,
            remedy="pip install 'heritage[excel]', or save the table as CSV (UTF-8)",
        ) from error
    wanted = {name.casefold() for name in needed}
    try:
        with warnings.catch_warnings(), path.open("rb") as file:
            warnings.simplefilter("ignore")  # of styles and validations, which do not matter here
            require_bounded_zip(file, MAX_SHEET_BYTES)
            file.seek(0)
            book = openpyxl.load_workbook(file, read_only=True, data_only=True)
            number, rows = _first_table(_sheets(book), wanted)
            if _gaps(_table(rows), wanted) and _has_merged_cells(path):
                _fill_merged(rows, path, number)
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, SyntaxError) as error:
        # openpyxl raises these for other zip files and damaged ones; SyntaxError: invalid XML
        name = "an OpenDocument table (.ods)" if _is_open_document(path) else "not an Excel file"
        raise ManifestError(f"unreadable table: {name}", where=path, remedy=SAVE_AS) from error
    table = _table(rows)
    if not table:
        raise ManifestError("the table is empty", where=path, remedy="save it again, or name another one")
    _require_results(table, wanted, path)
    return table


def _sheets(book: Workbook) -> Iterable[Rows]:
    for sheet in book.worksheets:
        sheet.reset_dimensions()  # those in the file are wrong in some exports, and would cut the table
        yield [[_cell(value) for value in row] for row in sheet.iter_rows(values_only=True)]


def _first_table(sheets: Iterable[Rows], wanted: Collection[str]) -> tuple[int, Rows]:
    """Return the number and all rows of the first sheet with a wanted column, or that is not empty."""
    first: tuple[int, Rows] = (0, [])
    for number, rows in enumerate(sheets):
        table = _table(rows)
        if table and not _names(table[0]).isdisjoint(wanted):
            return number, rows
        if table and not first[1]:
            first = number, rows
    return first


def _table(rows: Rows) -> Rows:
    """Return a sheet's rows from its header on, without empty ones."""
    table = [row for row in rows if _filled(row)]
    start = 0
    while start + 1 < len(table) and _filled(table[start]) == [0] and len(_filled(table[start + 1])) > 1:
        start += 1  # a title
    return table[start:]


def _gaps(table: Rows, wanted: Collection[str]) -> list[int]:
    """Return the places of the wanted columns that have an empty cell."""
    return [
        place
        for place, name in enumerate(table[0] if table else ())
        if column_name(name or "").casefold() in wanted
        and any(place >= len(row) or row[place] is None for row in table[1:])
    ]


def _has_merged_cells(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if not name.startswith("xl/worksheets/"):
                continue
            with archive.open(name) as sheet:
                before = b""
                while piece := sheet.read(1 << 20):
                    if b"<mergeCell " in before + piece:
                        return True
                    before = piece[-16:]
    return False


def _fill_merged(rows: Rows, path: Path, number: int) -> None:
    """Give all rows of a merged cell its value: the file stores it in the first one."""
    import openpyxl

    sheet = openpyxl.load_workbook(path, data_only=True).worksheets[number]
    filled = 0
    for area in sheet.merged_cells.ranges:
        place, first = area.min_col - 1, next(iter(rows[area.min_row - 1 :]), [])
        value = first[place] if place < len(first) else None
        for row in rows[area.min_row : area.max_row]:
            if value is not None and _filled(row):
                row.extend([None] * (place + 1 - len(row)))
                filled += row[place] is None
                row[place] = row[place] or value
    if filled:
        log.info("%s: %s cells have the value of the merged cell that they are in", path, f"{filled:,}")


def _require_results(table: Rows, wanted: Collection[str], path: Path) -> None:
    """Check that a needed column is not of formulas whose results are not stored.

    Raises:
        ManifestError: It is; other programs than Excel and LibreOffice write such files.
    """
    import openpyxl

    empty = [
        name
        for place, name in enumerate(table[0])
        if column_name(name or "").casefold() in wanted
        and not any(row[place] for row in table[1:] if place < len(row))
    ]
    if not empty or len(table) == 1:
        return
    with path.open("rb") as file:  # openpyxl keeps a file open that it opened itself
        book = openpyxl.load_workbook(file, read_only=True)
        rows = (row for sheet in book.worksheets for row in sheet.iter_rows(values_only=True))
        formulas = any(isinstance(cell, str) and cell.startswith("=") for row in rows for cell in row)
    if formulas:
        raise ManifestError(
            f"column {column_name(empty[0] or '')} has no values: the results of its formulas are not stored",
            where=path,
            remedy="open it in Excel or LibreOffice and save it again, or save it as CSV (UTF-8)",
        )


def _is_open_document(path: Path) -> bool:
    with path.open("rb") as file:
        return b"opendocument" in file.read(128)


def _names(header: Sequence[str | None]) -> set[str]:
    return {column_name(name or "").casefold() for name in header}


def _filled(row: Sequence[str | None]) -> list[int]:
    """Return the places of the cells that are not empty."""
    return [place for place, value in enumerate(row) if value]


def _cell(value: object) -> str | None:
    """Return an Excel cell as text, as Excel shows it."""
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime.datetime):
        return value.date().isoformat()
    return str(value)
