"""Which pictures a person means: a file, a folder, a pattern, a list or a table of them."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from heritage.core.tables import read_table
from heritage.data.readers import pictures_below
from heritage.errors import DataError, DatasetNotFoundError, ManifestError

TABLES = frozenset({".csv", ".parquet"})
LISTS = frozenset({".txt", ".lst"})
_MAGIC = "*?["


@dataclass(frozen=True)
class Inputs:
    """Pictures to be asked about, in their order.

    Names are held in Arrow buffers: lists of strings would be copied page by page into every worker.

    Attributes:
        root: The folder that names are relative to.
        names: In the system's own bytes: a name need not be text.
    """

    root: Path
    names: pa.BinaryArray

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def of(cls, root: Path, names: Iterable[str]) -> Inputs:
        """Take names as Python has them."""
        return cls(root, pa.array((os.fsencode(name) for name in names), pa.binary()))

    def name(self, row: int) -> str:
        """Return a picture's name for people; bytes that are no text are written out."""
        return self._bytes(row).decode("utf-8", "backslashreplace")

    def path(self, row: int) -> Path:
        """Return a picture's file."""
        return self.root / os.fsdecode(self._bytes(row))

    def _bytes(self, row: int) -> bytes:
        found: bytes = self.names[row].as_py()
        return found

    def digest(self) -> str:
        """Return a digest of names, sizes and times of change: other pictures give another one."""
        digest = hashlib.sha256(os.fsencode(self.root.resolve()))
        for row in range(len(self)):
            path = self.path(row)
            try:
                about = path.stat()
                state = f"{about.st_size} {about.st_mtime_ns}"
            except (OSError, ValueError):  # ValueError: a name with a null character
                state = "missing"
            digest.update(b"\n%s\0%s" % (self._bytes(row), state.encode()))
        return digest.hexdigest()


def find_inputs(wanted: str | Sequence[str], column: str) -> Inputs:
    """Find the pictures that a person means.

    Args:
        wanted: A picture; a folder (with all below it); a pattern with ``*``; a text file with a name on
            each line; a CSV or Parquet table; or several pictures. Names in lists and tables are
            relative to the list's folder.
        column: The table's column with the names.

    Raises:
        DatasetNotFoundError: There is nothing of that name, or not one picture.
        DataError: A list or table that cannot be read.
    """
    if not isinstance(wanted, str):
        return _named(Path(), [str(Path(name).expanduser()) for name in wanted], ",".join(wanted))
    path = Path(wanted).expanduser()
    if path.is_dir():
        files = [found.relative_to(path).as_posix() for found, _ in pictures_below(path)]
        return _named(path, files, wanted)
    if path.is_file():
        if path.suffix.lower() in TABLES:
            return _named(path.parent, _column(path, column), wanted)
        if path.suffix.lower() in LISTS:
            return _named(path.parent, _lines(path), wanted)
        return _named(Path(), [str(path)], wanted)
    if any(sign in wanted for sign in _MAGIC):
        matches = glob.iglob(str(path), recursive=True)  # noqa: PTH207  Path.glob takes no absolute pattern
        found = sorted(name for name in matches if Path(name).is_file())
        return _named(Path(), found, wanted)
    raise DatasetNotFoundError(
        "no such picture, folder or list",
        where=f"input={wanted}",
        remedy="give one, or a pattern such as 'photos/*.jpg'",
    )


def _named(root: Path, names: list[str], wanted: str) -> Inputs:
    if not names:
        raise DatasetNotFoundError(
            "not one picture", where=f"input={wanted}", remedy="look for a misspelt name or suffix"
        )
    return Inputs.of(root, names)


def _column(path: Path, column: str) -> list[str]:
    table = read_table(path)
    if column not in table.column_names:
        raise ManifestError(
            f"no column '{column}' (there are: {', '.join(table.column_names)})",
            where=path,
            remedy="name the one with the pictures: column=…",
        )
    values: list[str] = table[column].cast(pa.string()).to_pylist()
    for number, value in enumerate(values, start=1):
        if not value:
            raise ManifestError(f"row {number} has no {column}", where=path, remedy="fill it in or remove it")
    return values


def _lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError("not a text in UTF-8", where=path, remedy="save it as UTF-8") from error
    return [line.strip() for line in lines if line.strip()]
