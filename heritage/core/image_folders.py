"""List the image files below a folder, and for folders named after classes the class of each.

These are the rules of every command that reads folders (``data=class_folders`` of `heritage train`,
``raw=class_folders`` of `heritage curate`, ``input=…`` of `heritage predict`):

* A file is an image if its name ends in one of `IMAGE_SUFFIXES`, in upper or lower case. Other files are
  counted by suffix.
* Hidden files and folders are skipped, and so are `SYSTEM_FOLDERS` and `SYSTEM_FILES`.
* Folders are read with their subfolders, whatever they are called. Links to folders are followed, except to
  a folder that contains the link. A folder that is reached twice within a class is read once.
* Run folders are skipped, and beside class folders data sets too: both may be in ``outputs`` below the root.
* Entries are sorted by name, so the order does not depend on the file system.
"""

from __future__ import annotations

import logging
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from heritage.core.labels import clean_label
from heritage.core.numbers import counted
from heritage.errors import DataError, DatasetNotFoundError, ManifestError

log = logging.getLogger(__name__)

IMAGE_SUFFIXES: frozenset[str] = frozenset(
    {
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".webp",
        ".tif",
        ".tiff",
        ".bmp",
        ".gif",
        ".avif",
        ".heic",
        ".heif",
    }
)

TABLE_SUFFIXES: frozenset[str] = frozenset({".csv", ".tsv", ".tab", ".parquet", ".xlsx", ".xlsm"})
"""Suffixes by which a command recognises a table among its inputs, in lower case."""

SYSTEM_FOLDERS: frozenset[str] = frozenset(
    {
        "@eadir",  # thumbnails of a Synology
        "#recycle",
        "#snapshot",
        "@recycle",  # of a QNAP
        "@recently-snapshot",
        "__macosx",  # in archives made by macOS
        "$recycle.bin",
        "system volume information",
        "lost+found",
    }
)
"""Folders that operating systems and storage devices make, in lower case."""

SYSTEM_FILES: frozenset[str] = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"})
"""Files that operating systems make, in lower case."""

_RUN = ".hydra"  # a folder in every run folder
_DATA_SET = ("manifest.parquet", "dataset.json")

_SYSTEM_ENDINGS = ("@synoeastream", "@synoresource")  # of files beside pictures on a Synology

_SPLIT = re.compile(
    r"(?:(?P<train>train(?:ing)?)|(?P<val>val(?:id(?:ation)?)?|dev|eval(?:uation)?)|(?P<test>test(?:ing)?))"
    r"[\s_-]*(?:set|split|data|images)?[\s_-]*(?:\d{4})?"
)

_NAMED = 6  # suffixes in a note


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
        split: The split of the folder that it is in (train, val or test); None without such folders.
    """

    file: str
    label: str
    size: int
    is_text: bool
    split: str | None = None


def split_of(name: str) -> str | None:
    """Return the split (train, val or test) that a folder or a cell names: ``Validation``, ``test_set``."""
    match = _SPLIT.fullmatch(name.strip().lower())
    return None if match is None else match.lastgroup


def images_below(folder: Path, others: Counter[str] | None = None) -> Iterator[tuple[Path, int]]:
    """Yield the images of a folder and its subfolders with their sizes in bytes.

    A broken link is an image of 0 bytes, to be reported when it is read.

    Args:
        folder: The folder.
        others: Counts the files that are not images, by suffix.

    Raises:
        DataError: A folder cannot be listed.
    """
    yield from _walk(folder, (folder.resolve(),), Counter() if others is None else others, set())


def note_of_others(others: Mapping[str, int]) -> str | None:
    """Return a sentence on the files passed over as no images, by suffix; None if there are none."""
    if not others:
        return None
    total = sum(others.values())
    most = sorted(others.items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{suffix or 'no suffix'} {count:,}" for suffix, count in most[:_NAMED])
    more = f" and {len(most) - _NAMED} other suffixes" if len(most) > _NAMED else ""
    was, their = ("was", "its") if total == 1 else ("were", "their")
    return f"{counted(total, 'file')} {was} passed over because of {their} suffix: {shown}{more}."


def is_system_path(path: Path) -> bool:
    """Return whether a relative path is hidden or a system's, or inside such a folder."""
    return any(_is_ignored(part) for part in path.parts if part not in ("..", "."))


def labelled_images(root: Path, keys: SourceKeys, others: Counter[str] | None = None) -> list[LabelledImage]:
    """List the images of a tree with one folder for each class.

    Folders without an image are not classes. If all folders are named like splits (`split_of`), the class
    folders are inside them; if the folders inside all class folders are, images have a split, too.
    A mixture of splits and other folders is an error.

    Args:
        root: The tree.
        keys: The configuration keys, for messages.
        others: Counts the files in class folders that are not images, by suffix.

    Raises:
        DatasetNotFoundError: ``root`` is not a folder, or has no subfolders.
        ManifestError: There is no image, or the folders are splits and not classes.
        DataError: A folder cannot be listed.
    """
    require_folder(root, keys)
    folders = [entry.name for entry in _entries(root) if _is_folder(entry)]
    if not folders:
        raise DatasetNotFoundError("no folder for any class", where=root, remedy=_other_layout(root, keys))
    others = Counter() if others is None else others
    above = (root.resolve(),)
    listed = [
        (path.relative_to(root), size)
        for name in folders
        for path, size in _walk(
            root / name, (*above, (root / name).resolve()), others, set(), data_sets=False
        )
    ]
    if not listed:
        raise ManifestError(
            "its folders hold no images",
            where=root,
            remedy=f"correct {keys.root}; images end in {', '.join(sorted(IMAGE_SUFFIXES))}",
        )
    if empty := sorted(set(folders) - {path.parts[0] for path, _ in listed}):
        log.warning("%s: no image in %s: not a class", root, ", ".join(map(as_text, empty[:_NAMED])))
    level = _split_level([path for path, _ in listed], root, keys)
    images = []
    for path, size in listed:
        file = path.as_posix()
        text = as_text(file)
        label = clean_label(as_text(path.parts[1 if level == 0 else 0]))
        split = None if level is None else split_of(path.parts[level])
        images.append(LabelledImage(text, label, size, text == file, split))
    return images


def _split_level(paths: list[Path], root: Path, keys: SourceKeys) -> int | None:
    """Return the level of the folders that are splits: 0 or 1 below the root, or None without such folders.

    Raises:
        ManifestError: The folders are splits and hold images directly, some are splits and others are not,
            or the classes are a level deeper.
    """
    inner: dict[str, set[str]] = defaultdict(set)  # by outer folder; "" for images in the folder itself
    for path in paths:
        inner[path.parts[0]].add(path.parts[1] if len(path.parts) > 2 else "")
    splits = [name for name in inner if split_of(name)]
    if len(splits) == len(inner):
        loose = next((path for path in paths if len(path.parts) < 3), None)
        if loose is not None:
            raise ManifestError(
                f"its folders are splits and not classes: {as_text(loose.as_posix())} is in no class folder",
                where=root,
                remedy="put the images of each class into a folder: train/egyptian, test/egyptian",
            )
        return 0
    if len(splits) > 1 or any("" not in inner[name] for name in splits):
        others = [as_text(name) for name in inner if name not in splits]
        raise ManifestError(
            f"{', '.join(splits)} are named like splits, but {', '.join(others[:_NAMED])} are not",
            where=root,
            remedy="move the latter elsewhere, or rename the former if they are classes",
        )
    nested = all(split_of(name) for names in inner.values() for name in names)
    if len(inner) > 1:
        return 1 if nested else None
    [(outer, folders)] = inner.items()
    if nested and all(len(path.parts) > 3 for path in paths):
        raise ManifestError(
            f"its only folder {as_text(outer)} holds splits of several classes",
            where=root,
            remedy=f"set {keys.root}={as_text(str(root / outer))}",
        )
    if len(folders) > 1 and not nested and "" not in folders:
        log.warning(
            "%s: its only folder %s is the class; if the classes are its folders (%s), set %s=%s",
            root, as_text(outer), ", ".join(map(as_text, sorted(folders)[:_NAMED])), keys.root, root / outer,
        )  # fmt: skip
    return 1 if nested else None


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


def tables_in(folder: Path) -> list[str]:
    """Return the names of the files in a folder that may be tables, without the lock files of Office."""
    if not folder.is_dir():
        return []
    return sorted(
        path.name
        for path in folder.iterdir()
        if path.suffix.lower() in TABLE_SUFFIXES and not path.name.startswith((".", "~$"))
    )


def as_text(name: str) -> str:
    """Return a file name as text that can be printed and stored; bytes that are not UTF-8 are escaped."""
    return name.encode("utf-8", "backslashreplace").decode()


def _walk(
    folder: Path, above: tuple[Path, ...], others: Counter[str], seen: set[Path], *, data_sets: bool = True
) -> Iterator[tuple[Path, int]]:
    """Yield the images below a folder.

    Args:
        folder: The folder.
        above: The folder and those it was reached through, resolved.
        others: Counts the files that are not images, by suffix.
        seen: The folders that were read, resolved.
        data_sets: Whether to read data-set folders below.
    """
    seen.add(above[-1])
    for entry in _entries(folder):
        path = Path(entry.path)
        if _is_folder(entry):
            target = path.resolve()
            if target in seen:
                log.info("%s: this folder is read once, under another name", path)
            elif (path / _RUN).is_dir() or (
                not data_sets and all((path / name).is_file() for name in _DATA_SET)
            ):
                log.info("%s: left out, a folder that a command wrote", path)
            elif not (entry.is_symlink() and any(one.is_relative_to(target) for one in above)):
                yield from _walk(path, (*above, target), others, seen, data_sets=data_sets)
        elif path.suffix.lower() in IMAGE_SUFFIXES:
            yield path, _size(entry)
        else:
            others[as_text(path.suffix)] += 1


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


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a folder; a link that leads to itself is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_ignored(name: str) -> bool:
    lower = name.lower()
    return (
        name.startswith(".")
        or lower in SYSTEM_FOLDERS
        or lower in SYSTEM_FILES
        or lower.endswith(_SYSTEM_ENDINGS)
    )


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_size
    except OSError:
        return 0


def _other_layout(root: Path, keys: SourceKeys) -> str:
    if tables_in(root):
        return f"use {keys.group}=table for images described by a table"
    return f"put the images of each class into a folder named after it, or correct {keys.root}"
