"""Readers of the group ``data``: a data-set folder, class folders, or images with a table as a `Manifest`.

Every reader is called as ``reader(root, classes)`` and opens no image. Class folders and tables are read by
the same rules as in `heritage curate` (`heritage.core.image_folders`, `heritage.core.tables`), but strictly:
an image without a class is an error here, and a dropped row there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from heritage.core.image_folders import SourceKeys, labelled_images, require_folder
from heritage.core.manifest import MANIFEST_FILE, Manifest
from heritage.core.tables import listed_images, read_image_table
from heritage.core.taxonomy import CLASSES, class_of_id, parse_image_name, require_known_classes
from heritage.core.types import NonNegativeInt, PositiveInt
from heritage.errors import DatasetNotFoundError, ManifestError

KEYS = SourceKeys(group="data", root="data.root", reader="data.reader")


def manifest(root: Path, classes: Sequence[str] | None) -> Manifest:
    """Read a data-set folder (``manifest.parquet``, ``dataset.json``, ``images/``).

    Args:
        root: The data-set folder.
        classes: A selection of the folder's own classes in any order; None takes them all.

    Raises:
        DatasetNotFoundError: ``root`` is not a data-set folder.
        ManifestError: The manifest is damaged, or lacks one of ``classes``.
    """
    require_folder(root, KEYS)
    if not (root / MANIFEST_FILE).is_file():
        tables = any(root.glob("*.csv")) or any(root.glob("*.parquet"))
        raise DatasetNotFoundError(
            f"not a data-set folder (no {MANIFEST_FILE})",
            where=root,
            remedy="make one with `heritage curate`, or read it with "
            + ("data=table" if tables else "data=class_folders"),
        )
    whole = Manifest.read(root)
    if classes is None or tuple(classes) == whole.classes:
        return whole
    require_known_classes(
        classes,
        whole.classes,
        root,
        remedy=f"the data set has {', '.join(whole.classes)}: correct data.classes, or take them all with "
        "data.classes=null",
    )
    selected = pc.is_in(whole.table["class"], pa.array(list(classes)))
    return Manifest.build(whole.table.filter(selected), root, classes)


def class_folders(root: Path, classes: Sequence[str] | None) -> Manifest:
    """Read a tree with one folder for each class.

    Args:
        root: The tree.
        classes: The class list; None takes the folders' names in alphabetical order.

    Raises:
        DatasetNotFoundError: ``root`` is not a folder, or has no subfolders.
        ManifestError: A folder with images is not named after a class, or a file's name is not UTF-8.
        DataError: A folder cannot be listed.
    """
    images = labelled_images(root, KEYS)
    labels = {image.label for image in images}
    classes = sorted(labels) if classes is None else classes
    require_known_classes(labels, classes, root)
    for image in images:
        if not image.is_text:
            raise ManifestError(
                "the file's name is not UTF-8", where=root / image.file, remedy="rename the file"
            )
    columns = {
        "file": [image.file for image in images],
        "class": [image.label for image in images],
        "bytes": [image.size for image in images],
    }
    return Manifest.build(columns, root, classes)


def table(
    root: Path, classes: Sequence[str] | None, *, table: str, images: str, columns: Mapping[str, str]
) -> Manifest:
    """Read images that a CSV or Parquet table describes.

    Args:
        root: The folder of the table and the images.
        classes: The class list; None takes the table's labels in alphabetical order, or the six default
            classes where file names hold the class.
        table: The table's file name, relative to ``root``.
        images: The images' folder, relative to ``root``; the table's file names are relative to it.
        columns: Names of the manifest's columns, each with the table's name for it. Other columns of the
            manifest are taken where the table has them under the same name. Without a class column
            the class is read from file names of the form ``CLASSID_MUSEUM_UNIQUEID``.

    Raises:
        DatasetNotFoundError: There is no such folder or table.
        ManifestError: A column is missing, or has an invalid value.
    """
    selected = read_image_table(root, table, images, columns, KEYS)
    files: list[str | None] = selected["file"].to_pylist()
    stems = [Path(name or "").stem for name in files]
    if "class" not in selected:
        names = [parse_image_name(stem) for stem in stems]
        classes = CLASSES if classes is None else classes
        selected["class"] = pa.chunked_array([[class_of_id(name.class_id, classes) for name in names]])
        selected.setdefault("museum", pa.chunked_array([[name.museum for name in names]]))
    if len(set(stems)) == len(stems):
        selected.setdefault("image_id", pa.chunked_array([stems]))
    if classes is None:
        classes = sorted(set(selected["class"].to_pylist()) - {None, ""})
    sizes = dict(listed_images(root, images))
    selected["bytes"] = pa.chunked_array([[sizes.get(name or "") for name in files]], pa.int64())
    return Manifest.build(pa.table(selected), root, classes, where=root / table)


def demo(
    root: Path, classes: Sequence[str] | None, *, images: PositiveInt, size: PositiveInt, seed: NonNegativeInt
) -> Manifest:
    """Read the demo set, which is drawn on first use.

    Args:
        root: Its folder; each version and setting has a folder below it.
        classes: The class list.
        images: About how many images.
        size: Pixels per side.
        seed: Random seed of the artefacts.
    """
    from heritage.demo import write_demo_dataset

    folder = demo_folder(root, images=images, size=size, seed=seed)
    write_demo_dataset(folder, images=images, size=size, seed=seed)
    return table(
        folder,
        CLASSES if classes is None else classes,
        table="metadata.csv",
        images="images",
        columns={"file": "filename", "group_id": "object_id"},
    )


def demo_folder(root: Path, *, images: int, size: int, seed: int) -> Path:
    """Return the folder of a demo set."""
    from heritage.demo import DEMO_VERSION

    return root / f"v{DEMO_VERSION}-{images}x{size}-seed{seed}"


def missing_files(data: Manifest) -> list[str]:
    """Return the files that the manifest names and its folder lacks."""
    files = data.column("file")
    # A listing of each folder: one call per file is slow on network file systems.
    present = {
        (parent, name)
        for parent in {os.path.dirname(file) for file in files}  # noqa: PTH120  a string, a million times
        for name in _names_in(data.root / parent)
    }
    return [file for file in files if os.path.split(file) not in present]


def _names_in(folder: Path) -> list[str]:
    return os.listdir(folder) if folder.is_dir() else []  # noqa: PTH208  names alone are needed
