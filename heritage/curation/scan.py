"""Inspect and resize all photographs: in parallel, resumable, and in constant memory.

Inspections are recorded in small Parquet files below ``.curation/seen/``, each of which is complete or
absent. A photograph is inspected again if its size or modification time has changed, if it was unusable, or
if the resizing is a different one.
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

_VERSION = 2  # of `inspect`; with another one old records are not used
_CHUNK = 16  # photographs per task
_ROWS, _SECONDS = 2048, 20.0  # a record is written after this many photographs or seconds

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
_NO_SIGNATURE = b"\x00" * SIGNATURE_SIDE**2


@dataclass(frozen=True)
class Inspections:
    """The inspections of all rows of the source, in its order.

    Attributes:
        table: The fields of `Inspection` as columns, and `raw_file`.
    """

    table: pa.Table
    _texts: dict[str, list[str]] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def array(self, name: str) -> npt.NDArray[Any]:
        """Return a column as a NumPy array."""
        return np.asarray(self.table[name].to_numpy(zero_copy_only=False))

    def texts(self, name: str) -> list[str]:
        """Return a column as a list of strings; the conversion is cached."""
        if name not in self._texts:
            self._texts[name] = self.table[name].to_pylist()
        return self._texts[name]

    @functools.cached_property
    def signatures(self) -> npt.NDArray[np.uint8]:
        """The signatures, shape (N, 256)."""
        joined = b"".join(self.table["signature"].to_pylist())
        return np.frombuffer(joined, dtype=np.uint8).reshape(-1, SIGNATURE_SIDE**2)


class Scanner:
    """Inspects photographs and records the results.

    Args:
        root: The folder of the raw photographs.
        out: The data set's folder.
        resizing: How photographs are resized.
        workers: Number of processes.
    """

    def __init__(self, root: Path, out: Path, resizing: Resizing, workers: int) -> None:
        self._root, self._out, self._resizing, self._workers = root, out, resizing, workers
        settings = f"{_VERSION} {dataclasses.astuple(resizing)}"
        seen = out / ".curation" / "seen"
        self._records_folder = seen / _digest(settings)
        self._named_after_root = seen / _digest(f"{settings} {root.resolve()}")

    def prepare(self) -> None:
        """Remove temporary files of an interrupted run and the records of other settings."""
        (self._out / "images").mkdir(parents=True, exist_ok=True)
        if self._named_after_root.is_dir() and not self._records_folder.exists():
            self._named_after_root.rename(self._records_folder)  # of version 0.1
        for folder in self._records_folder.parent.glob("*"):
            if folder != self._records_folder:
                shutil.rmtree(folder)
        for left in [*(self._out / "images").glob(f".*{TEMPORARY}"), *self._records_folder.glob(".*")]:
            left.unlink()

    def scan(self, files: Sequence[str], image_ids: Sequence[str]) -> Inspections:
        """Inspect each file once, and write its resized copy as ``images/<image_id>.jpg``.

        Raises:
            DataError: The disk is full, or a process died; finished work is kept.
        """
        recorded = self._recorded_files()
        pending = [
            row for row in _first_rows(files) if not self._is_current(recorded.get(files[row]), files[row])
        ]
        if recorded and len(pending) < len(files):
            log.info(
                "%s of %s photographs were inspected before",
                f"{len(files) - len(pending):,}",
                f"{len(files):,}",
            )
        self._inspect(pending, files, image_ids)
        return self._in_source_order(files)

    def write_missing(
        self, rows: Sequence[int], files: Sequence[str], image_ids: Sequence[str], inspections: Inspections
    ) -> int:
        """Write the resized copies that are missing, and return their number.

        Raises:
            DataError: As for `scan`; or a photograph has become unreadable.
        """
        sizes = {path.name: path.stat().st_size for path in (self._out / "images").iterdir()}
        expected = inspections.array("bytes")
        absent = [row for row in rows if sizes.get(f"{image_ids[row]}.jpg") != expected[row]]
        for problem in self._inspect(absent, files, image_ids):
            raise DataError(problem, where=self._root, remedy="it changed during curation: start again")
        return len(absent)

    def _is_current(self, record: tuple[int, int] | None, file: str) -> bool:
        if record is None:
            return False
        try:
            status = (self._root / file).stat()
        except OSError:
            return False
        return record == (status.st_size, status.st_mtime_ns)

    def _recorded_files(self) -> dict[str, tuple[int, int]]:
        """Return size and modification time of each usable file that is recorded."""
        table = self._records()
        usable = table.filter(pc.equal(table["problem"], ""))
        states = zip(usable["raw_bytes"].to_pylist(), usable["modified_ns"].to_pylist(), strict=True)
        return dict(zip(usable["raw_file"].to_pylist(), states, strict=True))

    def _records(self) -> pa.Table:
        tables = [_SCHEMA.empty_table()]
        for part in sorted(self._records_folder.glob("[0-9]*.parquet")):
            try:
                tables.append(pq.read_table(part, schema=_SCHEMA))
            except (pa.ArrowInvalid, OSError) as error:
                log.warning("%s is damaged (%s): inspecting its photographs again", part, error)
                part.unlink()
        return pa.concat_tables(tables)

    def _inspect(self, rows: Sequence[int], files: Sequence[str], image_ids: Sequence[str]) -> list[str]:
        """Inspect rows, record the results, and return the problems."""
        tasks = (
            InspectionTask(
                row, str(self._root / files[row]), str(self._out / "images" / f"{image_ids[row]}.jpg")
            )
            for row in rows
        )
        work = functools.partial(inspect_all, resizing=self._resizing)
        problems: list[str] = []
        batch: list[Inspection] = []
        written = time.monotonic()
        try:
            with Progress("inspecting", len(rows)) as progress:
                for chunk in map_in_processes(work, _chunks(tasks), self._workers):
                    batch += chunk
                    progress.advance(len(chunk))
                    problems += [
                        f"{files[inspection.row]}: {inspection.problem}"
                        for inspection in chunk
                        if inspection.problem
                    ]
                    if len(batch) >= _ROWS or time.monotonic() - written > _SECONDS:
                        self._record(batch, files)
                        batch, written = [], time.monotonic()
        except OSError as error:
            raise DataError(
                f"cannot write ({error.strerror or error})",
                where=self._out,
                remedy="free some space and start again: finished work is kept",
            ) from error
        finally:
            self._record(batch, files)
        return problems

    def _record(self, inspections: Sequence[Inspection], files: Sequence[str]) -> None:
        if not inspections:
            return
        rows = [
            {
                **dataclasses.asdict(inspection),
                "raw_file": files[inspection.row],
                "signature": inspection.signature or _NO_SIGNATURE,
            }
            for inspection in inspections
        ]
        number = max((int(part.stem) for part in self._records_folder.glob("[0-9]*.parquet")), default=-1) + 1
        try:
            with atomic_path(self._records_folder / f"{number:06d}.parquet") as temporary:
                pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), temporary, compression="zstd")
        except OSError as error:
            raise DataError(
                f"cannot write ({error.strerror or error})",
                where=self._records_folder,
                remedy="free some space and start again: finished work is kept",
            ) from error

    def _in_source_order(self, files: Sequence[str]) -> Inspections:
        """Return the latest record of each file, in the order of the source, and merge the record files."""
        table = self._records()
        latest = {file: row for row, file in enumerate(table["raw_file"].to_pylist())}
        if table.num_rows > len(latest):
            table = table.take(pa.array(sorted(latest.values())))
            latest = {file: row for row, file in enumerate(table["raw_file"].to_pylist())}
        self._compact(table)
        return Inspections(table.take(pa.array([latest[file] for file in files])).combine_chunks())

    def _compact(self, table: pa.Table) -> None:
        parts = sorted(self._records_folder.glob("[0-9]*.parquet"))
        if len(parts) < 2:
            return
        # The highest number wins, so a crash between these steps duplicates records and loses none.
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


def _digest(settings: str) -> str:
    return hashlib.sha256(settings.encode()).hexdigest()[:12]


def _first_rows(files: Sequence[str]) -> list[int]:
    first: dict[str, int] = {}
    for row, file in enumerate(files):
        first.setdefault(file, row)
    return list(first.values())
