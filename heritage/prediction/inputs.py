"""The ``input=`` of a command: a file, a folder, a pattern, a list or a table of images."""

from __future__ import annotations

import glob
import hashlib
import itertools
import logging
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from heritage.core.image_folders import TABLE_SUFFIXES, images_below, is_system_path, note_of_others
from heritage.core.image_tables import listed_images, resolve_files
from heritage.core.table_cells import text_column
from heritage.core.table_columns import column_of_files
from heritage.core.table_reader import read_table
from heritage.core.text_encoding import decode_text
from heritage.errors import DatasetNotFoundError, ManifestError
from heritage.runs.input_paths import PATTERN_SIGNS, require_input

log = logging.getLogger(__name__)

LISTS = frozenset({".txt", ".lst"})


@dataclass(frozen=True)
class Inputs:
    """Image files, in order.

    Names are held in Arrow buffers: forked workers would copy lists of strings page by page.

    Attributes:
        root: The folder that names are relative to.
        names: File names as the bytes of the file system: a name need not be valid text.
    """

    root: Path
    names: pa.BinaryArray

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def of(cls, root: Path, names: Iterable[str]) -> Inputs:
        """Make inputs of Python strings."""
        return cls(root, pa.array((os.fsencode(name) for name in names), pa.binary()))

    def name(self, row: int) -> str:
        """Return an image's name as text; bytes that are not UTF-8 are escaped."""
        return self._bytes(row).decode("utf-8", "backslashreplace")

    def path(self, row: int) -> Path:
        """Return an image's file."""
        return self.root / os.fsdecode(self._bytes(row))

    def _bytes(self, row: int) -> bytes:
        name: bytes = self.names[row].as_py()
        return name

    def digests(self) -> tuple[str, str]:
        """Return digests of all names, file sizes and modification times.

        Returns:
            The digest, which does not depend on where the root is; and version 0.1's, which does.
        """
        digest, with_root = hashlib.sha256(), hashlib.sha256(os.fsencode(self.root.resolve()))
        for row in range(len(self)):
            path = self.path(row)
            try:
                stat = path.stat()
                state = f"{stat.st_size} {stat.st_mtime_ns}"
            except (OSError, ValueError):  # ValueError: a name with a null character
                state = "missing"
            for one in (digest, with_root):
                one.update(b"\n%s\0%s" % (self._bytes(row), state.encode()))
        return digest.hexdigest(), with_root.hexdigest()


def find_inputs(source: str | Sequence[str], column: str, *, key: str = "input") -> Inputs:
    """List the images that an option such as ``input=`` names.

    Args:
        source: An image; a folder (with its subfolders); a pattern with ``*``; a text file with one name per
            line; a table (`heritage.core.table_reader`); or several images. Names in lists and tables are
            relative to the list's folder, or to ``images`` in it. Files that systems make are left out.
        column: The table's column of names.
        key: The option's name, for messages.

    Raises:
        DatasetNotFoundError: There is nothing of that name, or no image in it.
        DataError: The list or table cannot be read.
    """
    if not isinstance(source, str):
        return _inputs(Path(), [str(Path(name).expanduser()) for name in source], f"{key}={','.join(source)}")
    path = Path(source).expanduser()
    if path.is_dir():
        others: Counter[str] = Counter()
        files = [file.relative_to(path).as_posix() for file, _ in images_below(path, others)]
        if note := note_of_others(others):
            log.info("%s: %s", path, note)
        return _inputs(path, files, f"{key}={source}")
    if path.is_file():
        is_list = path.suffix.lower() in LISTS and not _is_table(path, column)
        if path.suffix.lower() in {*TABLE_SUFFIXES, *LISTS} and not is_list:
            return _inputs(path.parent, _located(path, _column(path, column)), f"{key}={source}")
        if is_list:
            return _inputs(path.parent, _located(path, _lines(path)), f"{key}={source}")
        return _inputs(Path(), [str(path)], f"{key}={source}")
    require_input(source, key)
    matches = glob.iglob(str(path), recursive=True)  # noqa: PTH207  Path.glob takes no absolute pattern
    fixed = Path(*itertools.takewhile(lambda part: not set(part) & set(PATTERN_SIGNS), path.parts))
    names = [
        name for name in matches if Path(name).is_file() and not is_system_path(Path(name).relative_to(fixed))
    ]
    return _inputs(Path(), sorted(names), f"{key}={source}")


def _inputs(root: Path, names: list[str], where: str) -> Inputs:
    if not names:
        raise DatasetNotFoundError(
            "not a single image", where=where, remedy="check the spelling and the suffix"
        )
    return Inputs.of(root, names)


def _is_table(path: Path, column: str) -> bool:
    """Return whether a text file is a table, as Excel and R write them: its first line names the column."""
    head = next(iter(_lines(path)), "")
    cells = [cell.strip(' "').casefold() for cell in re.split(r'[,;\t|]|" "', head)]
    return len(cells) > 1 and column.casefold() in cells


def _column(path: Path, column: str) -> list[str]:
    table = read_table(path, [column])
    if column not in table.column_names:
        same = [name for name in table.column_names if name.casefold() == column.casefold()]
        if not same:
            near = column_of_files(table)
            raise ManifestError(
                f"no column '{column}' (there are: {', '.join(table.column_names)})",
                where=path,
                remedy=f"did you mean column={near}?" if near else "name the column of file names: column=…",
            )
        column = same[0]
    values: list[str] = text_column(table[column], column, path).to_pylist()
    for number, value in enumerate(values, start=1):
        if not value:
            raise ManifestError(f"row {number} has no {column}", where=path, remedy="fill it in or remove it")
    return values


def _located(path: Path, names: list[str]) -> list[str]:
    """Return the files that a list names, relative to its folder; absolute names stay as they are."""
    folder = path.parent
    relative = [name for name in names if not Path(name).is_absolute()]
    found = resolve_files(folder, relative, ("", "images"), path, elsewhere=True)
    if not all((folder / (name or "")).is_file() for name in found):
        # a list of the folder's images finds names in other case and without suffix
        listed = dict(listed_images(folder, ""))
        found = resolve_files(folder, relative, ("", "images"), path, listed, elsewhere=True)
    files = iter(found)
    return [name if Path(name).is_absolute() else next(files) or name for name in names]


def _lines(path: Path) -> list[str]:
    lines = decode_text(path.read_bytes(), path).splitlines()
    return [line.strip() for line in lines if line.strip()]
