"""Write and read CSV files whose cells spreadsheets do not run (`heritage.core.escaping.csv_cell`).

All CSV files of this package are written here, and all are read here or by `heritage.core.table_reader`; both
return the cells as they were before.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from heritage.core.escaping import csv_cell, read_csv_cell

if TYPE_CHECKING:  # a mistake in a configuration is reported before these are imported
    import pyarrow as pa

CsvError = csv.Error
LONGEST_CELL = 1 << 20
"""Characters of a cell; a longer one is a missing quotation mark, or an attack."""


def csv_text(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table as the text of a CSV file.

    Args:
        head: Column names.
        rows: The cells of each row; None is an empty cell.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([csv_cell(name) for name in head])
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def csv_of_records(names: Sequence[str], rows: Iterable[Mapping[str, object]]) -> str:
    """Return mappings as the text of a CSV file; a name that a mapping lacks is an empty cell."""
    return csv_text(names, ([row.get(name) for name in names] for row in rows))


def read_records(
    lines: Iterable[str], *, longest: int = LONGEST_CELL, separator: str = ","
) -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV file as mappings.

    Args:
        lines: The open file, or its lines.
        longest: Characters of a cell at most.
        separator: Between cells.

    Raises:
        csv.Error: It is not a CSV file, or has a longer cell.
    """
    before = csv.field_size_limit(longest)
    try:
        reader = csv.DictReader(lines, delimiter=separator)
        names = [read_csv_cell(name) for name in reader.fieldnames or ()]
        reader.fieldnames = names
        for row in reader:
            yield {name: read_csv_cell(row[name]) if row[name] else "" for name in names}
    finally:
        csv.field_size_limit(before)


def is_inert(text: str) -> bool:
    """Return whether spreadsheets run no cell of a CSV file."""
    rows = csv.reader(io.StringIO(text, newline=""))
    return all(csv_cell(read_csv_cell(cell)) == cell for row in rows for cell in row)


def read_head(path: Path) -> list[str]:
    """Return the column names of a CSV file; empty if it is."""
    with path.open(encoding="utf-8", newline="") as file:
        return [read_csv_cell(name) for name in next(csv.reader(file), [])]


def write_arrow(table: pa.Table, path: Path) -> None:
    """Write a table of Arrow columns as a CSV file."""
    import pyarrow as pa
    import pyarrow.csv as pa_csv

    columns = [_map(column, csv_cell) for column in table.columns]
    safe = pa.table(columns, names=[csv_cell(name) for name in table.column_names])
    pa_csv.write_csv(safe, path, pa_csv.WriteOptions(quoting_style="needed"))


def restored(table: pa.Table) -> pa.Table:
    """Return a table that was read from a CSV file with its text as it was before `csv_cell`."""
    import pyarrow as pa

    columns = [_map(column, read_csv_cell) for column in table.columns]
    return pa.table(columns, names=[read_csv_cell(name) for name in table.column_names])


def _cell(value: object) -> str:
    return "" if value is None else csv_cell(str(value))


def _map(column: pa.ChunkedArray, change: Callable[[str], str]) -> pa.ChunkedArray:
    """Apply `csv_cell` or its inverse to a column of text; columns of other types have nothing to change."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return column
    # Few cells need a change: find them without a loop in Python.
    signs = "'" if change is read_csv_cell else "'=+\\-@＝＋－＠\\s"
    if not pc.any(pc.match_substring_regex(column, f"^[{signs}]")).as_py():
        return column
    values = [None if value is None else change(value) for value in column.to_pylist()]
    return pa.chunked_array([pa.array(values, column.type)])
