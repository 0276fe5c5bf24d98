"""List the image files below a folder, and for folders named after classes the class of each.

These are the rules of every command that reads folders (``data=class_folders`` of `heritage train`,
``raw=class_folders`` of `heritage curate`, ``input=…`` of `heritage predict`):

* A file is an image if its name ends in one of `IMAGE_SUFFIXES`, in upper or lower case.
* Hidden files and folders are skipped, and so are `SYSTEM_FOLDERS`.
* Folders are read with their subfolders, whatever they are called. Links to folders are followed, except to
  a folder that contains the link.
* Entries are sorted by name, so the order does not depend on the file system.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from heritage.errors import DataError, DatasetNotFoundError, ManifestError

IMAGE_SUFFIXES: frozenset[str] = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif"}
)

SYSTEM_FOLDERS: frozenset[str] = frozenset(
    {
        "@eadir",  # thumbnails of a Synology
        "#recycle",
        "#snapshot",
        "__macosx",  # in archives made by macOS
        "$recycle.bin",
        "system volume information",
        "lost+found",
    }
)
"""Folders that operating systems and storage devices make, in lower case."""

SPLIT_FOLDERS: frozenset[str] = frozenset(
    {"train", "training", "val", "valid", "validation", "test", "testing"}
)
"""Folders that hold a split and not a class, in lower case."""


class SourceKeys(NamedTuple):
    """The configuration keys that a source is given in, for messages.

    Attributes:
        group: The group that selects the reader, such as ``data``.
        root: The key of the folder, such as ``data.root``.
        reader: The prefix of the reader's own keys, such as ``data.reader``.
    """

    group: str
    root: str
    reader: str


class LabelledImage(NamedTuple):
    """An image file below a class folder.

    Attributes:
        file: Its path relative to the root, with forward slashes; bytes that are not UTF-8 are escaped.
        label: The name of the class folder.
        size: Bytes; 0 for a broken link.
        is_text: Whether the path is valid UTF-8. A file whose path is not cannot be named in a table.
    """

    file: str
    label: str
    size: int
    is_text: bool


def images_below(folder: Path) -> Iterator[tuple[Path, int]]:
    """Yield the images of a folder and its subfolders with their sizes in bytes.

    A broken link is an image of 0 bytes, to be reported when it is read.

    Raises:
        DataError: A folder cannot be listed.
    """
    yield from _walk(folder, (folder.resolve(),))


def labelled_images(root: Path, keys: SourceKeys) -> list[LabelledImage]:
    """List the images of a tree with one folder for each class.

    Folders without an image are not classes.

    Args:
        root: The tree.
        keys: The configuration keys, for messages.

    Raises:
        DatasetNotFoundError: ``root`` is not a folder, or has no subfolders.
        ManifestError: There is no image, or the folders are splits and not classes.
        DataError: A folder cannot be listed.
    """
    require_folder(root, keys)
    folders = [entry.name for entry in _entries(root) if entry.is_dir()]
    if not folders:
        raise DatasetNotFoundError("no folder for any class", where=root, remedy=_other_layout(root, keys))
    above = (root.resolve(),)
    images: list[LabelledImage] = []
    nested = True
    for name in folders:
        for path, size in _walk(root / name, (*above, (root / name).resolve())):
            file = path.relative_to(root).as_posix()
            text = as_text(file)
            images.append(LabelledImage(text, as_text(name), size, text == file))
            nested = nested and path.parent != root / name
    if not images:
        raise ManifestError(
            "its folders hold no images",
            where=root,
            remedy=f"correct {keys.root}; images end in {', '.join(sorted(IMAGE_SUFFIXES))}",
        )
    labels = sorted({image.label for image in images})
    if nested and SPLIT_FOLDERS.issuperset(label.lower() for label in labels):
        raise ManifestError(
            f"its folders {', '.join(labels)} are splits and not classes",
            where=root,
            remedy="put all images of a class below one folder, such as egyptian/train and egyptian/test",
        )
    return images


def require_folder(path: Path, keys: SourceKeys) -> None:
    """Raise an error unless a path is a folder.

    Raises:
        DatasetNotFoundError: It is not.
    """
    if not path.is_dir():
        raise DatasetNotFoundError(
            "not a folder" if path.exists() else "no such folder",
            where=path,
            remedy=f"give the folder of the images in {keys.root}",
        )


def as_text(name: str) -> str:
    """Return a file name as text that can be printed and stored; bytes that are not UTF-8 are escaped."""
    return name.encode("utf-8", "backslashreplace").decode()


def _walk(folder: Path, above: tuple[Path, ...]) -> Iterator[tuple[Path, int]]:
    """Yield the images below a folder.

    Args:
        folder: The folder.
        above: The folder and those it was reached through, resolved.
    """
    for entry in _entries(folder):
        path = Path(entry.path)
        if entry.is_dir():
            target = path.resolve()
            if not (entry.is_symlink() and any(one.is_relative_to(target) for one in above)):
                yield from _walk(path, (*above, target))
        elif path.suffix.lower() in IMAGE_SUFFIXES:
            yield path, _size(entry)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return the entries of a folder that are neither hidden nor a system's, sorted by name."""
    try:
        with os.scandir(folder) as entries:
            return sorted(
                (entry for entry in entries if not _is_ignored(entry.name)), key=lambda entry: entry.name
            )
    except OSError as error:
        raise DataError(
            f"the folder cannot be read ({error.strerror})", where=folder, remedy="change its permissions"
        ) from error


def _is_ignored(name: str) -> bool:
    return name.startswith(".") or name.lower() in SYSTEM_FOLDERS


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_size
    except OSError:
        return 0


def _other_layout(root: Path, keys: SourceKeys) -> str:
    if any(root.glob("*.csv")) or any(root.glob("*.parquet")):
        return f"use {keys.group}=table for images described by a table"
    return f"put the images of each class into a folder named after it, or correct {keys.root}"
