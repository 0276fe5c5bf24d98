"""All photographs inspected and resized: in parallel, resumable, in constant memory.

What was seen is kept below ``.curation/seen/`` in small Parquet files, each whole or not there. A
photograph is inspected again where its size or modification time changed, where it could not be used,
or where the resizing is another one.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import logging
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from heritage.core.files import atomic_path
from heritage.core.processes import map_in_processes
from heritage.core.progress import Progress
from heritage.core.resizing import Resizing
from heritage.curation.inspection import TEMPORARY, Inspection, InspectionTask, inspect_all
from heritage.curation.phash import SIGNATURE_SIDE
from heritage.errors import DataError

log = logging.getLogger(__name__)

_VERSION = 2  # of what `inspect` does: another one makes old records useless
_CHUNK = 16  # photographs handed to a process at once
_ROWS, _SECONDS = 2048, 20.0  # a record is written after so many photographs or seconds

_SCHEMA = pa.schema(
    [
        ("raw_file", pa.string()),
        ("raw_bytes", pa.int64()),
        ("modified_ns", pa.int64()),
        ("problem", pa.string()),
        ("raw_sha256", pa.string()),
        ("raw_width", pa.int32()),
        ("raw_height", pa.int32()),
        ("phash", pa.uint64()),
        ("signature", pa.binary(SIGNATURE_SIDE**2)),
        ("brightness", pa.float32()),
        ("contrast", pa.float32()),
        ("greyscale", pa.bool_()),
        ("sha256", pa.string()),
        ("bytes", pa.int64()),
    ]
)
_NOTHING = b"\x00" * SIGNATURE_SIDE**2


@dataclass(frozen=True)
class Inspections:
    """What was seen of each row of the source, in its order: the columns of a record."""

    table: pa.Table
    _read: dict[str, list[str]] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def array(self, name: str) -> npt.NDArray[Any]:
        """Return a column as a NumPy array."""
        return np.asarray(self.table[name].to_numpy(zero_copy_only=False))

    def texts(self, name: str) -> list[str]:
        """Return a column of text; it is converted once."""
        if name not in self._read:
            self._read[name] = self.table[name].to_pylist()
        return self._read[name]

    @functools.cached_property
    def signatures(self) -> npt.NDArray[np.uint8]:
        """The grey pictures to compare by, shape (N, 256)."""
        joined = b"".join(self.table["signature"].to_pylist())
        return np.frombuffer(joined, dtype=np.uint8).reshape(-1, SIGNATURE_SIDE**2)


class Scanner:
    """Inspects photographs and remembers what it saw.

    Args:
        root: The folder of the raw photographs.
        out: The data set's folder.
        resizing: How photographs become squares.
        workers: Processes.
    """

    def __init__(self, root: Path, out: Path, resizing: Resizing, workers: int) -> None:
        self._root, self._out, self._resizing, self._workers = root, out, resizing, workers
        recipe = f"{_VERSION} {dataclasses.astuple(resizing)} {root.resolve()}"
        self._seen = out / ".curation" / "seen" / hashlib.sha256(recipe.encode()).hexdigest()[:12]

    def begin(self) -> None:
        """Clear away what an interrupted run or another recipe left."""
        (self._out / "images").mkdir(parents=True, exist_ok=True)
        for folder in self._seen.parent.glob("*"):
            if folder != self._seen:
                shutil.rmtree(folder)
        for left in [*(self._out / "images").glob(f".*{TEMPORARY}"), *self._seen.glob(".*")]:
            left.unlink()

    def scan(self, files: Sequence[str], image_ids: Sequence[str]) -> Inspections:
        """See each file once; write its copy as ``images/<image_id>.jpg``.

        Raises:
            DataError: The disk is full, or a process died; what was finished is kept.
        """
        known = self._recall()
        fresh = [row for row in _first_rows(files) if not self._holds(known.get(files[row]), files[row])]
        if known and len(fresh) < len(files):
            log.info(
                "%s of %s photographs are known from before",
                f"{len(files) - len(fresh):,}",
                f"{len(files):,}",
            )
        self._inspect(fresh, files, image_ids)
        return self._sights(files)

    def restore(
        self, rows: Sequence[int], files: Sequence[str], image_ids: Sequence[str], inspections: Inspections
    ) -> int:
        """Write the copies that are to be kept and are not there, and return how many were written.

        Raises:
            DataError: As `scan`; or a photograph has become unreadable meanwhile.
        """
        sizes = {path.name: path.stat().st_size for path in (self._out / "images").iterdir()}
        expected = inspections.array("bytes")
        absent = [row for row in rows if sizes.get(f"{image_ids[row]}.jpg") != expected[row]]
        for problem in self._inspect(absent, files, image_ids):
            raise DataError(problem, where=self._root, remedy="it changed during the curation: start again")
        return len(absent)

    def _holds(self, record: tuple[int, int] | None, file: str) -> bool:
        if record is None:
            return False
        try:
            about = (self._root / file).stat()
        except OSError:
            return False
        return record == (about.st_size, about.st_mtime_ns)

    def _recall(self) -> dict[str, tuple[int, int]]:
        table = self._records()
        good = table.filter(pc.equal(table["problem"], ""))
        facts = zip(good["raw_bytes"].to_pylist(), good["modified_ns"].to_pylist(), strict=True)
        return dict(zip(good["raw_file"].to_pylist(), facts, strict=True))

    def _records(self) -> pa.Table:
        tables = [_SCHEMA.empty_table()]
        for part in sorted(self._seen.glob("[0-9]*.parquet")):
            try:
                tables.append(pq.read_table(part, schema=_SCHEMA))
            except (pa.ArrowInvalid, OSError) as error:
                log.warning("%s is damaged (%s): its photographs are inspected again", part, error)
                part.unlink()
        return pa.concat_tables(tables)

    def _inspect(self, rows: Sequence[int], files: Sequence[str], image_ids: Sequence[str]) -> list[str]:
        """Inspect these rows, write what was seen, and return what is wrong."""
        tasks = (
            InspectionTask(
                row, str(self._root / files[row]), str(self._out / "images" / f"{image_ids[row]}.jpg")
            )
            for row in rows
        )
        work = functools.partial(inspect_all, resizing=self._resizing)
        problems: list[str] = []
        held: list[Inspection] = []
        written = time.monotonic()
        try:
            with Progress("inspecting", len(rows)) as progress:
                for inspections in map_in_processes(work, _chunks(tasks), self._workers):
                    held += inspections
                    progress.advance(len(inspections))
                    problems += [
                        f"{files[inspection.row]}: {inspection.problem}"
                        for inspection in inspections
                        if inspection.problem
                    ]
                    if len(held) >= _ROWS or time.monotonic() - written > _SECONDS:
                        self._record(held, files)
                        held, written = [], time.monotonic()
        except OSError as error:
            raise DataError(
                f"cannot write ({error.strerror or error})",
                where=self._out,
                remedy="free some space and start again: what was finished is kept",
            ) from error
        finally:
            self._record(held, files)
        return problems

    def _record(self, inspections: Sequence[Inspection], files: Sequence[str]) -> None:
        if not inspections:
            return
        rows = [
            {
                **dataclasses.asdict(inspection),
                "raw_file": files[inspection.row],
                "signature": inspection.signature or _NOTHING,
            }
            for inspection in inspections
        ]
        number = max((int(part.stem) for part in self._seen.glob("[0-9]*.parquet")), default=-1) + 1
        try:
            with atomic_path(self._seen / f"{number:06d}.parquet") as temporary:
                pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), temporary, compression="zstd")
        except OSError as error:
            raise DataError(
                f"cannot write ({error.strerror or error})",
                where=self._seen,
                remedy="free some space and start again: what was recorded before is kept",
            ) from error

    def _sights(self, files: Sequence[str]) -> Inspections:
        """Put the records into the order of the source, the latest of each file, in one file."""
        table = self._records()
        latest = {file: row for row, file in enumerate(table["raw_file"].to_pylist())}
        if table.num_rows > len(latest):
            table = table.take(pa.array(sorted(latest.values())))
            latest = {file: row for row, file in enumerate(table["raw_file"].to_pylist())}
        self._compact(table)
        return Inspections(table.take(pa.array([latest[file] for file in files])).combine_chunks())

    def _compact(self, table: pa.Table) -> None:
        parts = sorted(self._seen.glob("[0-9]*.parquet"))
        if len(parts) < 2:
            return
        # The last number wins, so a crash between these two steps repeats records and loses none.
        with atomic_path(parts[-1]) as temporary:
            pq.write_table(table, temporary, compression="zstd")
        for part in parts[:-1]:
            part.unlink()
        parts[-1].replace(parts[0])


def _chunks(tasks: Iterator[InspectionTask]) -> Iterator[list[InspectionTask]]:
    chunk: list[InspectionTask] = []
    for task in tasks:
        chunk.append(task)
        if len(chunk) == _CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _first_rows(files: Sequence[str]) -> list[int]:
    first: dict[str, int] = {}
    for row, file in enumerate(files):
        first.setdefault(file, row)
    return list(first.values())
