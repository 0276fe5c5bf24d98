"""Tables that people hand in: CSV or Parquet, with their own column names."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from heritage.core.manifest import SCHEMA
from heritage.core.taxonomy import nearest
from heritage.errors import ManifestError


def read_table(path: Path) -> pa.Table:
    """Read a CSV or Parquet table; all of a CSV's columns as text, empty cells as null.

    Raises:
        ManifestError: It cannot be read.
    """
    try:
        if path.suffix.lower() == ".parquet":
            return pq.read_table(path)
        header = pa_csv.open_csv(path, parse_options=_PARSING).schema.names
        # Identifiers such as 00123 must stay text; years become numbers where the manifest has numbers.
        text = pa_csv.ConvertOptions(
            column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=True, null_values=[""]
        )
        table = pa_csv.read_csv(path, parse_options=_PARSING, convert_options=text)
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError, UnicodeDecodeError) as error:
        raise ManifestError(
            f"unreadable table: {error}", where=path, remedy="save it as CSV (UTF-8) or Parquet"
        ) from error
    if repeated := {name for name in header if header.count(name) > 1}:
        raise ManifestError(
            f"column '{min(repeated)}' stands twice", where=path, remedy="remove or rename one of them"
        )
    return table


def renamed(
    found: pa.Table,
    columns: Mapping[str, str],
    path: Path,
    setting: str,
    *,
    optional: Collection[str] = (),
) -> dict[str, pa.ChunkedArray]:
    """Return a table's columns under the manifest's names, and all others under their own.

    Args:
        found: The table.
        columns: The manifest's names, each with the table's name for it; ``file`` is always needed.
        path: The table's file, for messages.
        setting: Where the user wrote ``columns``, for messages.
        optional: The manifest's names that the table may lack.

    Raises:
        ManifestError: The manifest or the table has no such column, or there is no column of files.
    """
    if unknown := [name for name in columns if name not in SCHEMA.names]:
        near = nearest(unknown[0], SCHEMA.names)
        raise ManifestError(
            f"the manifest has no column '{unknown[0]}'",
            where=setting,
            remedy=f"did you mean '{near}'?" if near else f"choose from {', '.join(SCHEMA.names)}",
        )
    named = {name: found[name] for name in found.column_names}
    for key, name in {"file": "file", **columns}.items():
        if name in found.column_names:
            named[key] = found[name]
        elif key not in optional:
            holding = [column for column in found.column_names if key in column.lower()]
            near = holding[0] if holding else nearest(name, found.column_names)
            raise ManifestError(
                f"no column '{name}' for {key} (there are: {', '.join(found.column_names)})",
                where=path,
                remedy=f"did you mean {setting}.{key}={near}?" if near else f"set {setting}.{key}",
            )
    return named


_PARSING = pa_csv.ParseOptions(newlines_in_values=True)
