"""Columns of a table that describes images: those that it needs, and errors for those that it lacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import pyarrow as pa

from heritage.core.image_folders import IMAGE_SUFFIXES, SourceKeys, as_text
from heritage.core.manifest import SCHEMA
from heritage.core.taxonomy import nearest, suggestion
from heritage.errors import ManifestError

_HEADERS = 3  # header rows of pandas below the first one


def select_columns(
    table: pa.Table, columns: Mapping[str, str], path: Path, setting: str
) -> dict[str, pa.ChunkedArray]:
    """Return a table's columns under the manifest's names, and all others under their own.

    Args:
        table: The table.
        columns: As for `read_image_table`.
        path: The table's file, for messages.
        setting: The configuration key of ``columns``, for messages.

    Raises:
        ManifestError: The manifest or the table has no such column, or there is no column of files.
    """
    if unknown := [name for name in columns if name not in SCHEMA.names]:
        raise ManifestError(
            f"the manifest has no column '{unknown[0]}'",
            where=setting,
            remedy=suggestion(unknown[0], SCHEMA.names),
        )
    names = set(table.column_names)
    in_lower_case = {name.casefold(): name for name in sorted(names, reverse=True)}
    selected = {name: table[name] for name in table.column_names}
    for key in SCHEMA.names:
        if key not in names and key in in_lower_case:
            selected[key] = selected.pop(in_lower_case[key])
    for key, name in {"file": "file", **columns}.items():
        if name in names or name.casefold() in in_lower_case:
            selected[key] = table[name if name in names else in_lower_case[name.casefold()]]
        elif key != name or key == "file":
            holding = [column for column in table.column_names if key in column.lower()]
            near = holding[0] if holding else nearest(name, table.column_names)
            near = (key == "file" and column_of_files(table)) or near
            if (row := _header_row(table, name)) is not None:
                raise ManifestError(
                    f"no column '{name}' for {key}, but row {row} has it: there are several header rows",
                    where=path,
                    remedy="write one (pandas: table.columns = table.columns.map('_'.join))",
                )
            raise ManifestError(
                f"no column '{name}' for {key} (there are: {', '.join(table.column_names)})",
                where=path,
                remedy=f"did you mean {setting}.{key}={near}?" if near else f"set {setting}.{key}=<column>",
            )
    return selected


def _header_row(table: pa.Table, name: str) -> int | None:
    """Return the row, from 1, that has the name of a column in a cell, as the second header row of pandas."""
    for row, cells in enumerate(table.slice(0, _HEADERS).to_pylist(), start=1):
        if any(
            isinstance(cell, str) and cell.strip().casefold() == name.casefold() for cell in cells.values()
        ):
            return row
    return None


def no_class_error(
    columns: Mapping[str, pa.ChunkedArray], stems: Sequence[str], row: int, path: Path, keys: SourceKeys
) -> ManifestError:
    """Return the error for a table that gives no classes, neither in a column nor in names of files.

    Args:
        columns: The columns of `read_image_table`.
        stems: The names of the files, without suffix.
        row: The index of a name that has no class.
        path: The table.
        keys: The configuration keys.
    """
    others = [name for name in columns if name != "file"]
    likely = next((name for name in others if _has_repeated_texts(columns[name])), None)
    setting = f"{keys.reader}.columns.class"
    return ManifestError(
        f"no class: neither in a column 'class' (there are: {', '.join(others) or 'file'}) nor in names "
        f"such as 1_LOUVRE_26784283.jpg (row {row + 1} has '{as_text(stems[row])}')",
        where=path,
        remedy=f"did you mean {setting}={likely}?" if likely else f"set {setting}=<column>",
    )


def _has_repeated_texts(values: pa.ChunkedArray) -> bool:
    """Return whether a column has several texts, and each of them several times on average."""
    if not pa.types.is_string(values.type):
        return False
    different = len(values.drop_null().unique())
    return 1 < different <= len(values) // 2


def column_of_files(table: pa.Table) -> str | None:
    """Return the first column of a table whose first value is the name of an image file."""
    names: list[str] = table.column_names
    for name in names:
        values: list[object] = table[name].slice(0, 100).drop_null().slice(0, 1).to_pylist()
        if any(isinstance(value, str) and is_image_name(value) for value in values):
            return name
    return None


def is_image_name(text: str) -> bool:
    """Return whether a cell is the name of an image file."""
    return PurePosixPath(text.strip()).suffix.lower() in IMAGE_SUFFIXES
