"""Tables that describe images: columns under the manifest's names, and where the files are."""

from __future__ import annotations

import logging
import os
import posixpath
import re
import unicodedata
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PureWindowsPath

import pyarrow as pa

from heritage.core.image_folders import (
    SourceKeys,
    as_text,
    images_below,
    require_folder,
    tables_in,
)
from heritage.core.paths_in_data import require_inside
from heritage.core.table_cells import label_column, manifest_columns, text_column
from heritage.core.table_columns import is_image_name, select_columns
from heritage.core.table_reader import read_table
from heritage.errors import DatasetNotFoundError, ManifestError

log = logging.getLogger(__name__)

_OTHER_IDS = "image_id_of_table"
_FILE_URL = re.compile(r"file:(?://(?:localhost)?(?=/))?(?P<path>.+)", re.IGNORECASE | re.DOTALL)
_ONE_EACH = "a cell names several files: write one row for each"
_NEEDED = frozenset({"file", "class", "object_id", "group_id", "split"})


def read_image_table(
    root: Path,
    table: str,
    images: str,
    columns: Mapping[str, str],
    keys: SourceKeys,
    *,
    outside: bool | None = None,
) -> dict[str, pa.ChunkedArray]:
    """Read a table that describes images, with its columns under the manifest's names.

    Files are named by `resolve_files`, classes are cleaned (`heritage.core.labels.clean_label`), and columns
    that the manifest knows have its types (`heritage.core.table_cells`). A class column without any value is
    left out, so that classes are read from file names.

    Args:
        root: The folder of the table and the images.
        table: The table's file name, relative to ``root``.
        images: The images' folder, relative to ``root``; ``.`` or empty for ``root`` itself.
        columns: Names of the manifest's columns, each with the table's name for it. A column that is mapped
            to its own name may be absent, except ``file``. Columns that are not mapped keep their names.
        keys: The configuration keys, for messages.
        outside: Allow files outside of ``root`` and the images' folder, by absolute names, ``..`` or links.

    Returns:
        Columns by name: ``file`` relative to ``root``, as text; ``class`` as text, if there is one; all
        others as they are in the table. Names of the manifest's columns may be in upper case.

    Raises:
        DatasetNotFoundError: There is no such folder or table.
        ManifestError: A column is missing, a cell that is needed cannot be read, or a file is outside.
    """
    require_folder(root, keys)
    path = root / table
    if not path.is_file():
        there = [f"{keys.reader}.table={name}" for name in tables_in(root)[:3]]
        remedy = f"did you mean {' or '.join(there)}?" if there else f"name it in {keys.reader}.table"
        raise DatasetNotFoundError(f"no table {table}", where=root, remedy=remedy)
    if not (root / images).is_dir():
        beside = next(images_below(root), None) is not None
        remedy = f"write {keys.reader}.images=. if file names are relative to {as_text(str(root))}, or "
        name_it = f"name the images' folder in {keys.reader}.images"
        raise DatasetNotFoundError(
            "no such folder", where=root / images, remedy=(remedy if beside else "") + name_it
        )
    content = read_table(path, _NEEDED | set(columns.values()))
    selected = select_columns(content, columns, path, f"{keys.reader}.columns")
    names: list[str | None] = text_column(selected["file"], "file", path).to_pylist()
    listed = dict(listed_images(root, images))
    files = resolve_files(root, names, (images, ""), path, listed, elsewhere=True)
    if not outside:
        remedy = f"correct the row, or move the images; {keys.reader}.outside=true allows files elsewhere"
        require_inside(files, root, path, remedy=remedy, allowed=[root / images])
    selected["file"] = pa.chunked_array([files], pa.string())
    if "class" in selected:
        classes = label_column(selected.pop("class"), path)
        if classes.null_count < len(classes):
            selected["class"] = classes
        elif len(classes):
            log.warning("%s: column class is empty; classes are read from the names of the files", path)
    return _with_usable_ids(manifest_columns(selected, path), path)


def _with_usable_ids(columns: dict[str, pa.ChunkedArray], path: Path) -> dict[str, pa.ChunkedArray]:
    """Return columns whose ``image_id``, if there is one, names each image once.

    One that does not is kept under another name, and images get the ids of tables without this column.
    """
    ids = columns.get("image_id")
    if ids is None or (not ids.null_count and len(ids.unique()) == len(ids)):
        return columns
    fault = "is empty in some rows" if ids.null_count else "has repeated values"
    log.warning("%s: column image_id %s: images are named after their files instead", path, fault)
    return {_OTHER_IDS if name == "image_id" else name: values for name, values in columns.items()}


def listed_images(root: Path, images: str) -> Iterator[tuple[str, int]]:
    """Yield the images of a table's folder, as `read_image_table` names them, with their sizes in bytes."""
    for path, size in images_below(root / images):
        yield _joined(images, path.relative_to(root / images).as_posix()), size


def resolve_files(
    root: Path,
    names: Sequence[str | None],
    folders: Sequence[str],
    table: Path,
    listed: Mapping[str, int] | None = None,
    *,
    elsewhere: bool = False,
) -> list[str | None]:
    r"""Return the files that a table names, relative to a root folder where they are inside it.

    A name is relative to one of several folders, absolute, a ``file:`` URL, or written as on Windows, and may
    begin with the root folder or have ``%20`` for a blank; the first way that names an existing file counts.
    A name that differs from one file only in case or in the form of accented letters, or lacks only the
    suffix, is that file. A name that is nowhere is returned relative to the first folder.

    Args:
        root: The folder that results are relative to.
        names: The names; None stays None.
        folders: Folders below ``root`` that names may be relative to, the first one preferred; empty for
            ``root`` itself.
        table: The table's file, for messages.
        listed: The images that are known to exist, relative to ``root``.
        elsewhere: Return absolute names outside ``root`` as they are.

    Raises:
        ManifestError: An absolute name is outside ``root``, or is one of Windows.
    """
    known = listed or {}
    folders_there: dict[str, bool] = {}
    spellings = _spellings(known)

    def exists(file: str) -> str | None:
        if file in known:
            return file
        parent = file.rpartition("/")[0]
        try:
            if parent not in folders_there:  # one call per folder and not per file
                folders_there[parent] = (root / parent).is_dir()
            if folders_there[parent] and (root / file).is_file():
                return file
        except (OSError, ValueError):  # a name with a null character, or too long
            return None
        return spellings.get(_comparable(file))

    found: list[str | None] = []
    for row, name in enumerate(names, start=1):
        where = f"{table} row {row}"
        found.append(None if name is None else _resolve(name, root, folders, exists, where, elsewhere))
    return found


def _spellings(known: Iterable[str]) -> dict[str, str]:
    """Return files by their comparable names, with and without suffix, where these name one file only."""
    files: dict[str, str] = {}
    several: set[str] = set()
    for file in known:
        for name in {_comparable(file), _comparable(file.rpartition(".")[0])}:
            if name in files:
                several.add(name)
            files[name] = file
    return {name: file for name, file in files.items() if name not in several}


def _comparable(file: str) -> str:
    return unicodedata.normalize("NFC", file).casefold()


def _resolve(
    name: str,
    root: Path,
    folders: Sequence[str],
    exists: Callable[[str], str | None],
    where: str,
    elsewhere: bool,
) -> str:
    written = name.strip()
    if (url := _FILE_URL.fullmatch(written)) and exists(_joined(folders[0], written)) is None:
        written = urllib.parse.unquote(url["path"])
        written = written[1:] if PureWindowsPath(written[1:]).drive else written
    if PureWindowsPath(written).is_absolute() and not written.startswith("/"):
        raise ManifestError(
            f"'{as_text(name)}' is a path of another computer",
            where=where,
            remedy="write names relative to the images' folder",
        )
    spellings = [written]
    if "\\" in written:
        spellings.append(written.replace("\\", "/"))
    if "%" in written:
        spellings += [urllib.parse.unquote(spelling) for spelling in spellings]
    if written.startswith("/"):
        absolute = [_relative(spelling, root, None) for spelling in spellings]
        there = next((file for file in absolute if not file.startswith("/") and exists(file)), None)
        return there or _relative(written, root, None if elsewhere else where)
    below = [shorter for spelling in spellings for shorter in _below_root(spelling, root)]
    for spelling in [name, *spellings, *below]:
        for folder in folders:
            if file := exists(_joined(folder, spelling)):
                return file
    return _joined(folders[0], written.replace("\\", "/"))


def _below_root(name: str, root: Path) -> list[str]:
    """Return a name without the root folder at its beginning, as listings of files write it."""
    starts = (f"{os.path.normpath(root)}/", f"{root.resolve().name}/")
    plain = name.removeprefix("./")
    return [plain[len(start) :] for start in starts if plain.startswith(start)]


def _relative(name: str, root: Path, where: str | None) -> str:
    """Return an absolute name relative to the root.

    Raises:
        ManifestError: It is outside; without ``where`` it is returned as it is.
    """
    for base, path in ((root.absolute(), Path(name)), (root.resolve(), Path(os.path.realpath(name)))):
        if path.is_relative_to(base):
            return path.relative_to(base).as_posix()
    if where is None:
        return name
    raise ManifestError(
        f"'{as_text(name)}' is outside the folder {root}",
        where=where,
        remedy="move the images into that folder, or name a folder that holds the table and the images",
    )


def _joined(folder: str, name: str) -> str:
    """Join names, without ``.``, ``..`` and empty parts where possible."""
    prefix = "" if folder in ("", ".") else f"{folder.rstrip('/')}/"
    plain = not name.startswith(("./", "../")) and not any(part in name for part in ("/./", "/../", "//"))
    return prefix + name if plain else posixpath.normpath(prefix + name)


def require_files(files: Sequence[str | None], root: Path, table: str, images: str, keys: SourceKeys) -> None:
    """Check that some of a table's files exist, and log how many do not.

    Args:
        files: The files, relative to ``root``.
        root: The folder of the table and the images.
        table: The table's file name.
        images: The images' folder.
        keys: The configuration keys, for messages.

    Raises:
        ManifestError: None exists.
    """
    listed = {file for file, _ in listed_images(root, images)}
    named = [file for file in files if file]
    missing = [file for file in named if file not in listed and not (root / file).is_file()]
    if not missing:
        return
    example = as_text(missing[0])
    if len(missing) == len(named):
        there = f"has {as_text(min(listed))}" if listed else "has no images"
        remedy = f"correct {keys.reader}.images, {keys.reader}.columns.file or the file names"
        if "http:/" in example or "https:/" in example:
            remedy = (
                f"download the images, and name their files in a column: {keys.reader}.columns.file=<column>"
            )
        elif _names_several(example):
            remedy = _ONE_EACH
        raise ManifestError(
            f"none of its {len(named):,} files exists: {example} is missing, and {root / images} {there}",
            where=root / table,
            remedy=remedy,
        )
    several = next((as_text(file) for file in missing if _names_several(file)), None)
    log.warning(
        "%s: %s of %s files do not exist, for example %s%s",
        root / table, f"{len(missing):,}", f"{len(named):,}", several or example,
        f"; {_ONE_EACH}" if several else "",
    )  # fmt: skip


def _names_several(cell: str) -> bool:
    """Return whether a cell names several files, with separators between them."""
    parts = [part for part in re.split(r"[;,|\s]+", cell) if part]
    return sum(is_image_name(part) for part in parts) > 1
