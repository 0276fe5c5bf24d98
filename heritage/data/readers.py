"""From what lies on disk to a manifest: a data-set folder, a tree of folders, or images with a table.

Every reader is called as ``reader(root, classes)`` and returns a `Manifest` without reading an image.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from heritage.core.manifest import MANIFEST_FILE, Manifest
from heritage.core.tables import read_table, renamed
from heritage.core.taxonomy import (
    IMAGE_SUFFIXES,
    class_of_id,
    parse_image_name,
    require_known_classes,
)
from heritage.core.types import NonNegativeInt, PositiveInt
from heritage.errors import DataError, DatasetNotFoundError


def manifest(root: Path, classes: Sequence[str]) -> Manifest:
    """Read a data-set folder (``manifest.parquet``, ``dataset.json``, ``images/``).

    The folder's own class list holds; ``classes`` may name some of its classes, in any order, to use
    these alone.

    Raises:
        DatasetNotFoundError: ``root`` is not a data-set folder.
        ManifestError: The manifest is damaged, or lacks a class that is asked for.
    """
    _require_folder(root)
    if not (root / MANIFEST_FILE).is_file():
        remedy = f"make one with `heritage curate`, or read it with {_likely_reader(root)}"
        raise DatasetNotFoundError(f"not a data-set folder (no {MANIFEST_FILE})", where=root, remedy=remedy)
    whole = Manifest.read(root)
    if tuple(classes) == whole.classes:
        return whole
    require_known_classes(classes, whole.classes, root)
    wanted = pc.is_in(whole.table["class"], pa.array(list(classes)))
    return Manifest.build(whole.table.filter(wanted), root, classes)


def class_folders(root: Path, classes: Sequence[str]) -> Manifest:
    """Read a tree with one folder for each class.

    Hidden files and files that are no pictures are passed over.

    Raises:
        DatasetNotFoundError: ``root`` is no folder, or has no folders in it.
        ManifestError: A folder is not named after a class.
    """
    _require_folder(root)
    folders = sorted(entry.name for entry in os.scandir(root) if entry.is_dir() and entry.name[0] != ".")
    if not folders:
        raise DatasetNotFoundError("no folder for any class", where=root, remedy=_likely_reader(root))
    require_known_classes(folders, classes, root)
    files: list[str] = []
    labels: list[str] = []
    sizes: list[int] = []
    for name in folders:
        for path, size in pictures_below(root / name):
            files.append(path.relative_to(root).as_posix())
            labels.append(name)
            sizes.append(size)
    return Manifest.build({"file": files, "class": labels, "bytes": sizes}, root, classes)


def table(
    root: Path, classes: Sequence[str], *, table: str, images: str, columns: Mapping[str, str]
) -> Manifest:
    """Read images that a CSV or Parquet table describes.

    Args:
        root: The folder of both.
        classes: The class list.
        table: The table's file name, relative to ``root``.
        images: The folder of the images, relative to ``root``; file names in the table are relative to it.
        columns: The manifest's column names, each with the table's name for it. Other columns of the
            manifest are taken where the table has them under the same name. Without a class column
            the class is read from file names of the form ``CLASSID_MUSEUM_UNIQUEID``.

    Raises:
        DatasetNotFoundError: No folder or table there.
        ManifestError: A column is missing, or a value makes no sense.
    """
    _require_folder(root)
    path = root / table
    if not path.is_file():
        raise DatasetNotFoundError(f"no table {table}", where=root, remedy="name it in data.reader.table")
    # A column that is mapped to its own name is a default, which a table may lack.
    optional = {key for key, name in columns.items() if key == name != "file"}
    named = renamed(read_table(path), columns, path, "data.reader.columns", optional=optional)
    stems = [Path(name or "").stem for name in named["file"].to_pylist()]
    if "class" not in named:
        ids = [parse_image_name(stem) for stem in stems]
        named["class"] = pa.chunked_array([[class_of_id(name.class_id, classes) for name in ids]])
        named.setdefault("museum", pa.chunked_array([[name.museum for name in ids]]))
    if len(set(stems)) == len(stems):
        named.setdefault("image_id", pa.chunked_array([stems]))
    prefix = "" if images in ("", ".") else f"{images.rstrip('/')}/"
    named["file"] = pc.binary_join_element_wise(prefix, named["file"].cast(pa.string()), "")
    sizes = dict(_sizes(root / images, prefix))
    named["bytes"] = pa.chunked_array([[sizes.get(name) for name in named["file"].to_pylist()]], pa.int64())
    return Manifest.build(pa.table(named), root, classes, where=path)


def demo(
    root: Path, classes: Sequence[str], *, images: PositiveInt, size: PositiveInt, seed: NonNegativeInt
) -> Manifest:
    """Draw the demo set where it does not exist yet, and read it.

    Args:
        root: Its folder; each version and setting gets a folder of its own below it.
        classes: The class list.
        images: About how many pictures.
        size: Pixels a side.
        seed: Other seeds draw other artefacts.
    """
    from heritage.demo import DEMO_VERSION, write_demo_dataset

    folder = root / f"v{DEMO_VERSION}-{images}x{size}-seed{seed}"
    write_demo_dataset(folder, images=images, size=size, seed=seed)
    return table(
        folder,
        classes,
        table="metadata.csv",
        images="images",
        columns={"file": "filename", "group_id": "object_id"},
    )


def missing_files(data: Manifest) -> list[str]:
    """Return the files that the manifest names and the folder lacks."""
    known = {
        path.relative_to(data.root).as_posix()
        for folder in {data.root / Path(name).parent for name in data.column("file")}
        if folder.is_dir()
        for path, _ in pictures_below(folder, deep=False)
    }
    return [name for name in data.column("file") if name not in known]


def _require_folder(root: Path) -> None:
    if not root.is_dir():
        raise DatasetNotFoundError(
            "no such folder", where=root, remedy="give the data set's folder in data.root"
        )


def _likely_reader(root: Path) -> str:
    if any(root.glob("*.csv")) or any(root.glob("*.parquet")):
        return "data=table"
    return "data=class_folders"


def pictures_below(
    folder: Path, *, deep: bool = True, _above: frozenset[Path] = frozenset()
) -> Iterator[tuple[Path, int]]:
    """Yield the pictures of a folder with their sizes in bytes, sorted; hidden ones are passed over.

    A link that leads nowhere is a picture of no bytes, to be reported where pictures are read; one that leads
    to a folder above itself is passed over.

    Raises:
        DataError: A folder that may not be read.
    """
    try:
        entries = sorted(os.scandir(folder), key=lambda found: found.name)
    except OSError as error:
        raise DataError(
            f"the folder cannot be read ({error.strerror})", where=folder, remedy="change its permissions"
        ) from error
    above = _above | {folder.resolve()}
    for entry in entries:
        if entry.name[0] == ".":
            continue
        if entry.is_dir():
            if deep and not (entry.is_symlink() and Path(entry.path).resolve() in above):
                yield from pictures_below(Path(entry.path), _above=above)
        elif Path(entry.name).suffix.lower() in IMAGE_SUFFIXES:
            yield Path(entry.path), _size(entry)


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_size
    except OSError:
        return 0


def _sizes(folder: Path, prefix: str) -> Iterator[tuple[str, int]]:
    if folder.is_dir():
        for path, size in pictures_below(folder):
            yield prefix + path.relative_to(folder).as_posix(), size
