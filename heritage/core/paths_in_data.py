"""File names that data contain: manifests, tables and indexes may name files of their own folder alone.

Data sets travel, and their makers are not always known. A name that leads out of the folder, by ``..``, as an
absolute path or through a link, would let a data set read, show or publish any file of the user's.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path

from heritage.errors import ManifestError


def require_inside(
    files: Iterable[str | None],
    root: Path,
    where: str | PathLike[str],
    *,
    remedy: str,
    allowed: Sequence[Path] = (),
) -> None:
    """Raise an error unless all files are inside a folder, with links resolved. Files need not exist.

    Args:
        files: Names relative to the folder, or absolute; None is skipped.
        root: The folder; it may be a link itself.
        where: The file with the names, for the message.
        remedy: For the message.
        allowed: Further folders that files may be in.

    Raises:
        ManifestError: A file is outside; the message names its row, counted from 1.
    """
    folders = tuple(os.path.realpath(folder) for folder in (root, *allowed))
    by_parent: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for row, file in enumerate(files, start=1):
        if file is not None:
            parent, _, name = file.rpartition("/")
            by_parent[parent if parent or not file.startswith("/") else "/"].append((row, name))
    outside = [
        (row, name, parent)
        for parent, entries in by_parent.items()
        for row, name in _outside(entries, os.path.join(root, parent), folders)  # noqa: PTH118  may be absolute
    ]
    if outside:
        row, name, parent = min(outside)
        file = f"{parent.rstrip('/')}/{name}" if parent else name
        raise ManifestError(f"row {row}: '{file}' is outside the folder {root}", where=where, remedy=remedy)


def is_inside(file: str) -> bool:
    """Return whether a relative name stays inside its folder; links are not resolved."""
    path = Path(file)
    return bool(path.name) and not path.is_absolute() and ".." not in path.parts and "\0" not in file


def _outside(entries: list[tuple[int, str]], parent: str, folders: Sequence[str]) -> list[tuple[int, str]]:
    """Return the entries of one folder that are outside."""
    try:
        real = os.path.realpath(parent)
    except ValueError:  # a null character
        return entries
    if not _is_below(real, folders):
        return entries
    linked = _links_in(real)
    # Whole folders are resolved at once: a call for each file is slow on network file systems.
    return [
        (row, name)
        for row, name in entries
        if name in ("", ".", "..")
        or "\0" in name
        or (name in linked and not _is_below(os.path.realpath(os.path.join(real, name)), folders))  # noqa: PTH118
    ]


def _is_below(path: str, folders: Sequence[str]) -> bool:
    return any(path == folder or path.startswith(folder.rstrip("/") + "/") for folder in folders)


def _links_in(folder: str) -> set[str]:
    """Return the names of the links in a folder; empty if there is no such folder."""
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries if entry.is_symlink()}
    except OSError:
        return set()
