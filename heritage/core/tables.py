"""Read tables that people supply, CSV or Parquet, with their own column names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from heritage.core.image_folders import SourceKeys, images_below, require_folder
from heritage.core.manifest import SCHEMA
from heritage.core.taxonomy import nearest, suggestion
from heritage.errors import DatasetNotFoundError, ManifestError

_PARSING = pa_csv.ParseOptions(newlines_in_values=True)


def read_table(path: Path) -> pa.Table:
    """Read a CSV or Parquet table.

    The columns of a CSV are text, with empty cells as null: identifiers such as 00123 must stay text, and
    years become numbers later, where the manifest has numbers.

    Raises:
        ManifestError: It cannot be read, or has a column twice.
    """
    try:
        if path.suffix.lower() == ".parquet":
            table = pq.read_table(path)
        else:
            header = pa_csv.open_csv(path, parse_options=_PARSING).schema.names
            text = pa_csv.ConvertOptions(
                column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=True, null_values=[""]
            )
            table = pa_csv.read_csv(path, parse_options=_PARSING, convert_options=text)
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError, UnicodeDecodeError) as error:
        raise ManifestError(
            f"unreadable table: {error}", where=path, remedy="save it as CSV (UTF-8) or Parquet"
        ) from error
    names = table.column_names
    if repeated := {name for name in names if names.count(name) > 1}:
        raise ManifestError(
            f"column '{min(repeated)}' occurs twice", where=path, remedy="remove or rename one of them"
        )
    return table


def read_image_table(
    root: Path, table: str, images: str, columns: Mapping[str, str], keys: SourceKeys
) -> dict[str, pa.ChunkedArray]:
    """Read a table that describes images, with its columns under the manifest's names.

    Files are relative to the images' folder. Where all of them begin with its name already, they are taken
    as relative to ``root``. Classes are stripped of surrounding blanks; a class column without any value is
    left out, so that classes are read from file names.

    Args:
        root: The folder of the table and the images.
        table: The table's file name, relative to ``root``.
        images: The images' folder, relative to ``root``; ``.`` or empty for ``root`` itself.
        columns: Names of the manifest's columns, each with the table's name for it. A column that is mapped
            to its own name may be absent, except ``file``. Columns that are not mapped keep their names.
        keys: The configuration keys, for messages.

    Returns:
        Columns by name: ``file`` relative to ``root``, as text; ``class`` as text, if there is one; all
        others as they are in the table.

    Raises:
        DatasetNotFoundError: There is no such folder or table.
        ManifestError: A column is missing, or cannot be read as text.
    """
    require_folder(root, keys)
    path = root / table
    if not path.is_file():
        raise DatasetNotFoundError(f"no table {table}", where=root, remedy=f"name it in {keys.reader}.table")
    if not (root / images).is_dir():
        raise DatasetNotFoundError(
            "no such folder", where=root / images, remedy=f"name the images' folder in {keys.reader}.images"
        )
    selected = select_columns(read_table(path), columns, path, f"{keys.reader}.columns")
    selected["file"] = _below(root, images, _text(selected["file"], "file", path))
    if "class" in selected:
        classes = pc.utf8_trim_whitespace(_text(selected.pop("class"), "class", path))
        classes = pc.if_else(pc.equal(classes, ""), pa.scalar(None, pa.string()), classes)
        if classes.null_count < len(classes):
            selected["class"] = classes
    return selected


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
    selected = {name: table[name] for name in table.column_names}
    for key, name in {"file": "file", **columns}.items():
        if name in table.column_names:
            selected[key] = table[name]
        elif key != name or key == "file":
            holding = [column for column in table.column_names if key in column.lower()]
            near = holding[0] if holding else nearest(name, table.column_names)
            raise ManifestError(
                f"no column '{name}' for {key} (there are: {', '.join(table.column_names)})",
                where=path,
                remedy=f"did you mean {setting}.{key}={near}?" if near else f"set {setting}.{key}",
            )
    return selected


def listed_images(root: Path, images: str) -> Iterator[tuple[str, int]]:
    """Yield the images of a table's folder, as `read_image_table` names them, with their sizes in bytes."""
    for path, size in images_below(root / images):
        yield _prefix(images) + path.relative_to(root / images).as_posix(), size


def _prefix(images: str) -> str:
    return "" if images in ("", ".") else f"{images.rstrip('/')}/"


def _text(values: pa.ChunkedArray, name: str, path: Path) -> pa.ChunkedArray:
    """Return a column as text: Parquet files also hold numbers, bytes and categories."""
    try:
        return values.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ManifestError(
            f"column {name} is not text: {error}", where=path, remedy="save its values as text"
        ) from error


def _below(root: Path, images: str, files: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return file names relative to the root."""
    prefix = _prefix(images)
    twice = root / images / images
    if pc.all(pc.starts_with(files, prefix)).as_py() and (twice == root / images or not twice.is_dir()):
        return files
    return pc.binary_join_element_wise(prefix, files, "")
