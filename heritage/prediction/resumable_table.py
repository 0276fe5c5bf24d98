"""A long table written so that a crash loses a few hundred rows at most.

While it grows, ``<out>.parts/`` holds one file for every few hundred rows, each written atomically and named
after its rows, and ``job.json`` with a digest of the job. Opening it again with the same digest continues
after the last row; finally all parts are joined and the folder is removed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from heritage.core.files import write_text
from heritage.core.json_files import read_json_file
from heritage.errors import ConfigError
from heritage.prediction.table import Format, join_rows, write_rows

PART_ROWS = 512
"""Number of rows lost at most when the machine stops, up to a batch."""

_JOB_FILE = "job.json"
_AGAIN = "delete the folder or give overwrite=true to start again, or choose another out=…"


@dataclass
class ResumableTable:
    """A table in parts.

    Attributes:
        out: The finished table.
        form: Its format.
        schema: Its columns.
        done: Number of rows written so far.
    """

    out: Path
    form: Format
    schema: pa.Schema
    done: int = 0

    @classmethod
    def open(
        cls,
        out: Path,
        form: Format,
        schema: pa.Schema,
        digests: tuple[str, ...],
        *,
        overwrite: bool = False,
    ) -> ResumableTable:
        """Start a table, or continue one that was interrupted.

        Args:
            out: The finished table.
            form: Its format.
            schema: Its columns.
            digests: Of everything that determines the rows; parts with any of them continue, and a new table
                is given the first.
            overwrite: Remove parts that cannot be continued instead of raising.

        Raises:
            ConfigError: The parts belong to another job or have other columns, or some are missing.
        """
        if overwrite:
            try:
                return cls.open(out, form, schema, digests)
            except ConfigError:
                shutil.rmtree(parts_of(out))
        table = cls(out, form, schema)
        job = table.folder / _JOB_FILE
        if not job.is_file():
            write_text(job, json.dumps({"digest": digests[0], "columns": schema.names}) + "\n")
            return table
        known = _read_job(job)
        if known.get("digest") not in digests:
            raise ConfigError(
                "holds unfinished predictions of another network, other options or other images",
                where=table.folder,
                remedy=_AGAIN,
            )
        if known.get("columns") != schema.names:
            raise ConfigError(
                "holds unfinished predictions of an earlier version, with other columns",
                where=table.folder,
                remedy=_AGAIN,
            )
        for file in table.files():
            first, last = (int(number) for number in file.stem.split("-"))
            if first != table.done:
                raise ConfigError(
                    f"rows {table.done} to {first} are missing", where=table.folder, remedy=_AGAIN
                )
            table.done = last
        return table

    @property
    def folder(self) -> Path:
        """The folder of the parts."""
        return parts_of(self.out)

    def files(self) -> list[Path]:
        """Return the parts in order."""
        return sorted(self.folder.glob(f"[0-9]*.{self.form}"))

    def write(self, tables: Iterable[pa.Table]) -> None:
        """Append rows."""
        for rows in _parts(tables):
            last = self.done + rows.num_rows
            write_rows(rows, self.folder / f"{self.done:010d}-{last:010d}.{self.form}", self.form)
            self.done = last

    def finish(self) -> None:
        """Join the parts into the table and remove them."""
        join_rows(self.files(), self.out, self.form, self.schema)
        shutil.rmtree(self.folder)


def parts_of(out: Path) -> Path:
    """Return the folder of the parts of a table."""
    return out.with_name(f"{out.name}.parts")


def _read_job(path: Path) -> dict[str, Any]:
    try:
        job: dict[str, Any] = read_json_file(path, dict[str, str | list[str]])
    except (OSError, ValueError):
        return {}
    return job


def _parts(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Gather tables into parts of `PART_ROWS` rows or a little more."""
    gathered: list[pa.Table] = []
    for table in tables:
        gathered.append(table)
        if sum(part.num_rows for part in gathered) >= PART_ROWS:
            yield pa.concat_tables(gathered)
            gathered = []
    if gathered:
        yield pa.concat_tables(gathered)
