"""Readers of the group ``data``: a data-set folder, class folders, or images with a table as a `Manifest`.

Every reader is called as ``reader(root, classes)`` and opens no image. Class folders and tables are read by
the same rules as in `heritage curate` (`heritage.core.image_folders`, `heritage.core.image_tables`), but
strictly: an image without a class is an error here, and a dropped row there.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from heritage.core.image_folders import SourceKeys, labelled_images, note_of_others, require_folder, tables_in
from heritage.core.image_tables import listed_images, read_image_table, require_files
from heritage.core.labels import choose_classes, declared_spellings
from heritage.core.manifest import MANIFEST_FILE, Manifest
from heritage.core.table_columns import no_class_error
from heritage.core.taxonomy import CLASSES, ImageName, class_of_id, parse_image_name
from heritage.core.types import PositiveInt, Seed
from heritage.errors import ConfigError, DatasetNotFoundError, ManifestError

log = logging.getLogger(__name__)

KEYS = SourceKeys(group="data", root="data.root", reader="data.reader")


def manifest(root: Path, classes: Sequence[str] | None) -> Manifest:
    """Read a data-set folder (``manifest.parquet``, ``dataset.json``, ``images/``).

    Args:
        root: The data-set folder.
        classes: A selection of the folder's own classes in any order; None takes all that have images.

    Raises:
        DatasetNotFoundError: ``root`` is not a data-set folder.
        ManifestError: The manifest is damaged, or lacks one of ``classes``.
    """
    require_folder(root, KEYS)
    if not (root / MANIFEST_FILE).is_file():
        raise DatasetNotFoundError(
            f"not a data-set folder (no {MANIFEST_FILE})",
            where=root,
            remedy="make one with `heritage curate`, or read it with "
            + ("data=table" if tables_in(root) else "data=class_folders"),
        )
    whole = Manifest.read(root)
    if classes is None:
        classes = [name for name, count in whole.counts().items() if count]
    if tuple(classes) == whole.classes:
        return whole
    counts = {name: count for name, count in whole.counts().items() if count}
    content = whole.table
    if spellings := declared_spellings(counts, classes):
        labels = [spellings.get(name, name) for name in whole.column("class")]
        place = content.column_names.index("class")
        content = content.set_column(place, content.schema.field("class"), pa.array(labels, pa.string()))
        counts = dict(Counter(labels))
    classes = choose_classes(counts, classes, root)
    return Manifest.build(content.filter(pc.is_in(content["class"], pa.array(list(classes)))), root, classes)


def class_folders(root: Path, classes: Sequence[str] | None) -> Manifest:
    """Read a tree with one folder for each class.

    Args:
        root: The tree.
        classes: The class list, which chooses and orders folders; None takes all
            (`heritage.core.labels.choose_classes`). Folders named train, val and test set the split.

    Raises:
        DatasetNotFoundError: ``root`` is not a folder, or has no subfolders.
        ManifestError: No folder is named after a class, two are spellings of one, or a file's name is not
            UTF-8.
        DataError: A folder cannot be listed.
    """
    others: Counter[str] = Counter()
    images = labelled_images(root, KEYS, others)
    if note := note_of_others(others):
        log.info("%s: %s", root, note)
    spellings = declared_spellings(Counter(image.label for image in images), classes)
    images = [image._replace(label=spellings.get(image.label, image.label)) for image in images]
    classes = choose_classes(Counter(image.label for image in images), classes, root)
    images = [image for image in images if image.label in classes]
    for image in images:
        if not image.is_text:
            raise ManifestError(
                "the file's name is not UTF-8", where=root / image.file, remedy="rename the file"
            )
    columns: dict[str, list[object]] = {
        "file": [image.file for image in images],
        "class": [image.label for image in images],
        "bytes": [image.size for image in images],
    }
    if any(image.split for image in images):
        columns["split"] = [image.split for image in images]
    return Manifest.build(columns, root, classes)


def folder(root: Path, classes: Sequence[str] | None) -> Manifest:
    """Read a data-set folder, or a tree with one folder for each class; the default of the data module.

    Raises:
        DataError: As `manifest` and `class_folders`.
    """
    return manifest(root, classes) if (root / MANIFEST_FILE).is_file() else class_folders(root, classes)


def table(
    root: Path,
    classes: Sequence[str] | None,
    *,
    table: str,
    images: str,
    columns: Mapping[str, str],
    outside: bool | None = None,
) -> Manifest:
    """Read images that a table describes (`heritage.core.table_reader`).

    Args:
        root: The folder of the table and the images.
        classes: The class list, which chooses and orders classes; None takes all
            (`heritage.core.labels.choose_classes`).
        table: The table's file name, relative to ``root``.
        images: The images' folder, relative to ``root``; the table's file names are relative to it.
        columns: Names of the manifest's columns, each with the table's name for it. Other columns of the
            manifest are taken where the table has them under the same name. Without a class column
            the class is read from file names of the form ``CLASSID_MUSEUM_UNIQUEID``.
        outside: Allow files outside of ``root`` and the images' folder.

    Raises:
        DatasetNotFoundError: There is no such folder or table.
        ManifestError: A column is missing, has an invalid value, or names a file outside.
    """
    selected = read_image_table(root, table, images, columns, KEYS, outside=outside)
    files: list[str | None] = selected["file"].to_pylist()
    stems = [Path(name or "").stem for name in files]
    if "class" not in selected:
        names = _names_with_classes(stems, root / table, selected)
        listed = CLASSES if classes is None else classes
        selected["class"] = pa.chunked_array([[class_of_id(name.class_id, listed) for name in names]])
        selected.setdefault("museum", pa.chunked_array([[name.museum for name in names]]))
    if len(set(stems)) == len(stems):
        selected.setdefault("image_id", pa.chunked_array([stems]))
    labels: list[str | None] = selected["class"].to_pylist()
    if spellings := declared_spellings(Counter(label for label in labels if label), classes):
        labels = [None if label is None else spellings.get(label, label) for label in labels]
        selected["class"] = pa.chunked_array([labels], pa.string())
    classes = choose_classes(Counter(label for label in labels if label), classes, root / table)
    sizes = dict(listed_images(root, images))
    selected["bytes"] = pa.chunked_array([[sizes.get(name or "") for name in files]], pa.int64())
    content = pa.table(selected)
    _require_labels(labels, root / table)
    content = content.filter(pc.is_in(content["class"], pa.array(list(classes))))
    manifest = Manifest.build(content, root, classes, where=root / table)
    require_files(manifest.column("file"), root, table, images, KEYS)
    return manifest


def _names_with_classes(
    stems: Sequence[str], where: Path, columns: Mapping[str, pa.ChunkedArray]
) -> list[ImageName]:
    """Parse file names that give the classes of a table without a class column.

    Raises:
        ManifestError: A name is not of the form ``CLASSID_MUSEUM_UNIQUEID``.
    """
    try:
        return [parse_image_name(stem) for stem in stems]
    except ManifestError as error:
        raise no_class_error(columns, stems, stems.index(str(error.where)), where, KEYS) from error


def _require_labels(labels: Sequence[str | None], where: Path) -> None:
    """Check that each row has a class.

    Raises:
        ManifestError: A row has none.
    """
    if None in labels:
        raise ManifestError(
            f"row {labels.index(None) + 1} has no class",
            where=where,
            remedy="fill it in or remove the row",
        )


def demo(
    root: Path, classes: Sequence[str] | None, *, images: PositiveInt, size: PositiveInt, seed: Seed
) -> Manifest:
    """Read the demo set, which is drawn on first use.

    Args:
        root: Its folder; each version and setting has a folder below it. Nothing is drawn into a folder that
            has anything else in it.
        classes: The class list.
        images: About how many images.
        size: Pixels per side.
        seed: Random seed of the artefacts.

    Raises:
        ConfigError: ``root`` has other files.
    """
    from heritage.demo import demo_folder, write_demo_dataset

    folder = demo_folder(root, images=images, size=size, seed=seed)
    if not folder.is_dir():
        _require_demo_folder(root)
    write_demo_dataset(folder, images=images, size=size, seed=seed)
    return table(
        folder,
        CLASSES if classes is None else classes,
        table="metadata.csv",
        images="images",
        columns={"file": "filename", "group_id": "object_id"},
    )


def _require_demo_folder(root: Path) -> None:
    """Check that a folder has demo sets only, or does not exist.

    Raises:
        ConfigError: It has other files; the message names the option that reads them.
    """
    from heritage.demo import only_demo_sets

    if only_demo_sets(root):
        return
    raise ConfigError(
        "the demo set is not drawn into a folder that has other files",
        where=root,
        remedy=f"read that folder with {option_for(root)}; or move it, or set paths.data, for the demo set",
    )


def option_for(root: Path) -> str:
    """Return the option of the group ``data`` that reads a folder of photographs."""
    if (root / MANIFEST_FILE).is_file():
        return "data=folder"
    return "data=table" if tables_in(root) else "data=class_folders"


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
