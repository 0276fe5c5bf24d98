"""A long table written so that a crash loses a few hundred rows at most.

While it grows, ``<out>.parts/`` holds a file for every few hundred rows, each written whole and named after
its rows, and ``job.json`` with a digest of what makes the rows. Who opens it again with the same digest
goes on after the last one; in the end all are joined and the folder disappears.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from heritage.core.files import write_text
from heritage.errors import ConfigError
from heritage.prediction.table import Format, join_rows, write_rows

PART_ROWS = 512
"""About how many rows are lost at most when the machine stops."""

_JOB_FILE = "job.json"


@dataclass
class Parts:
    """The parts of a table.

    Attributes:
        out: The table that they will become.
        form: Its format.
        schema: Its columns.
        done: Rows written so far.
    """

    out: Path
    form: Format
    schema: pa.Schema
    done: int = 0

    @classmethod
    def open(cls, out: Path, form: Format, schema: pa.Schema, digest: str) -> Parts:
        """Start a table, or find what was written of it.

        Raises:
            ConfigError: There are parts that were made otherwise, or some of them are missing.
        """
        parts = cls(out, form, schema)
        job = parts.folder / _JOB_FILE
        if not job.is_file():
            write_text(job, json.dumps({"digest": digest}) + "\n")
            return parts
        try:
            known = json.loads(job.read_text(encoding="utf-8"))["digest"]
        except (ValueError, KeyError, TypeError):
            known = None
        if known != digest:
            raise ConfigError(
                "holds unfinished answers of another network, other options or other pictures",
                where=parts.folder,
                remedy="delete the folder, or choose another out=…",
            )
        for file in parts.files():
            first, last = (int(number) for number in file.stem.split("-"))
            if first != parts.done:
                raise ConfigError(
                    f"rows {parts.done} to {first} are missing",
                    where=parts.folder,
                    remedy="delete the folder and start again",
                )
            parts.done = last
        return parts

    @property
    def folder(self) -> Path:
        """Where the parts are."""
        return self.out.with_name(f"{self.out.name}.parts")

    def files(self) -> list[Path]:
        """Return the parts in order."""
        return sorted(self.folder.glob(f"[0-9]*.{self.form}"))

    def write(self, tables: Iterable[pa.Table]) -> None:
        """Add rows."""
        for rows in _gathered(tables):
            last = self.done + rows.num_rows
            write_rows(rows, self.folder / f"{self.done:010d}-{last:010d}.{self.form}", self.form)
            self.done = last

    def join(self) -> None:
        """Make the table, and remove the parts."""
        join_rows(self.files(), self.out, self.form, self.schema)
        shutil.rmtree(self.folder)


def _gathered(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(part.num_rows for part in waiting) >= PART_ROWS:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)
