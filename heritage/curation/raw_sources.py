"""Readers of the group ``raw``: a collection, class folders, a table, or the manifest of a data set.

Every reader returns `RawImages` without opening an image. A fault of the whole source, such as a missing
column, raises an error; a fault of one row, such as a missing file, becomes the reason for which it is
dropped. Folders and tables are read by the same rules as in `heritage train` (`heritage.core.image_folders`,
`heritage.core.image_tables`).
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from heritage.core.group_split import UNASSIGNED
from heritage.core.image_folders import SourceKeys, as_text, labelled_images, note_of_others, require_folder
from heritage.core.image_tables import listed_images, read_image_table, require_files
from heritage.core.json_files import read_json_file
from heritage.core.labels import require_one_spelling
from heritage.core.manifest import (
    DATASET_FILE,
    MANIFEST_FILE,
    SCHEMA,
    SPLITS,
    DatasetRecord,
    cast_columns,
)
from heritage.core.museums import Museum, MuseumCode, read_museums
from heritage.core.numbers import counted
from heritage.core.option_types import FilePath
from heritage.core.paths_in_data import is_inside, require_inside
from heritage.core.table_columns import no_class_error
from heritage.core.table_reader import read_table
from heritage.core.taxonomy import parse_image_name, suggestion
from heritage.core.verdicts import VERDICTS_FILE
from heritage.curation.splits import PreviousSplit
from heritage.errors import DatasetNotFoundError, ManifestError

KEYS = SourceKeys(group="raw", root="raw.root", reader="raw")

# Columns of a curated data set that curation computes.
_COMPUTED = frozenset(
    {"file", "image_id", "sha256", "phash", "width", "height", "bytes", "status", "reason", "group_id",
     "split", "fold", "raw_width", "raw_height", "raw_bytes", "brightness", "contrast", "greyscale"}
)  # fmt: skip

# Columns of a source's table that describe the raw photograph and not the curated image.
_RAW_NAMES = {"sha256": "expected_sha256", "status": "raw_status", "reason": "raw_reason"}


@dataclass(frozen=True)
class RawImages:
    """Photographs to curate, with their metadata.

    Attributes:
        root: The folder that `raw_file` is relative to.
        table: One row per photograph, sorted by `raw_file`, with `class` (null if unknown) and any other
            columns of the manifest.
        notes: Remarks on the source for the curator, a sentence each.
        overrides: The file of the curator's decisions that belongs to the source.
        verdicts: The file of reviewers' verdicts that belongs to the source.
        classes: The source's class list.
        previous_split: The source's split, which is kept.
        rebuilt_from: The ``dataset.json`` of the data set that is rebuilt.
        museums: The museums that the source describes, by code.
    """

    root: Path
    table: pa.Table
    notes: tuple[str, ...] = ()
    overrides: Path | None = None
    verdicts: Path | None = None
    classes: tuple[str, ...] | None = None
    previous_split: PreviousSplit | None = None
    rebuilt_from: Mapping[str, Any] | None = None
    museums: Mapping[str, Museum] = field(default_factory=dict)


def class_folders(root: FilePath, *, museum: MuseumCode, values: Mapping[str, str]) -> RawImages:
    """Read a tree with one folder for each class.

    Args:
        root: The tree.
        museum: The museum of files that are not named ``CLASSID_MUSEUM_UNIQUEID``.
        values: Columns of the manifest with one value for all images, such as ``licence: CC0-1.0``.

    Raises:
        DatasetNotFoundError: ``root`` is not a folder, or has no subfolders.
        ManifestError: There are no images, or ``values`` names a column that the manifest lacks.
        DataError: A folder cannot be listed.
    """
    base = Path(root)
    others: Counter[str] = Counter()
    images = labelled_images(base, KEYS, others)
    require_one_spelling(Counter(image.label for image in images), base)
    columns: dict[str, Any] = {
        "raw_file": [image.file for image in images],
        "class": [image.label for image in images],
        "museum": [museum] * len(images),
    }
    if not all(image.is_text for image in images):
        columns["raw_problem"] = [
            None if image.is_text else "the file's name is not UTF-8: rename the file" for image in images
        ]
    if any(image.split for image in images):
        columns["split"] = pa.array([image.split for image in images], pa.string())
    note = note_of_others(others)
    source = _prepared(pa.table(columns | _constants(values, len(images))), base)
    return RawImages(base, source, () if note is None else (note,))


def table(
    root: FilePath,
    *,
    table: str,
    images: str,
    columns: Mapping[str, str],
    museum: MuseumCode,
    values: Mapping[str, str],
    outside: bool | None = None,
) -> RawImages:
    """Read images that a table describes (`heritage.core.table_reader`).

    Args:
        root: The folder of the table and the images.
        table: The table's file name, relative to ``root``.
        images: The images' folder, relative to ``root``; the table's file names are relative to it.
        columns: Names of the manifest's columns, each with the table's name for it (``file: filename``).
            Other columns keep their names. Without a class column the class is read from file names of
            the form ``CLASSID_MUSEUM_UNIQUEID``.
        museum: The museum of images for which neither the table nor the file name gives it.
        values: Columns of the manifest with one value for all images, such as ``licence: CC0-1.0``.
        outside: Allow files outside of ``root`` and the images' folder.

    Raises:
        DatasetNotFoundError: There is no such folder or table.
        ManifestError: A column is missing, has an invalid value, or names a file outside.
    """
    base = Path(root)
    selected = read_image_table(base, table, images, columns, KEYS, outside=outside)
    if "class" not in selected:
        _require_classes_in_names(selected, base / table)
    else:
        labels = Counter(label for label in selected["class"].to_pylist() if label)
        require_one_spelling(labels, base / table)
    selected["raw_file"] = selected.pop("file")
    rows = len(selected["raw_file"])
    for original, name in _RAW_NAMES.items():
        if original in selected:
            selected[name] = selected.pop(original)
    if "museum" not in selected:
        selected["museum"] = pa.chunked_array([[museum] * rows], pa.string())
    prepared = _prepared(pa.table(_constants(values, rows) | selected), base / table)
    require_files(prepared["raw_file"].to_pylist(), base, table, images, KEYS)
    return RawImages(base, prepared, _note_of_unlisted_files(base, images, prepared))


def _require_classes_in_names(selected: Mapping[str, pa.ChunkedArray], path: Path) -> None:
    """Raise an error unless some file of a table without a class column is named after its class."""
    stems = [PurePath(name or "").stem for name in selected["file"].to_pylist()]
    for stem in stems:
        with contextlib.suppress(ManifestError):
            parse_image_name(stem)
            return
    if stems:
        raise no_class_error(selected, stems, 0, path, KEYS)


def collected(root: FilePath, *, museum: MuseumCode) -> RawImages:
    """Read the photographs and the manifest that `heritage collect` wrote.

    Args:
        root: The collection's folder.
        museum: The museum of rows without one.

    Raises:
        DatasetNotFoundError: There is no collection.
        ManifestError: Its manifest is damaged.
    """
    base = Path(root)
    if not (base / MANIFEST_FILE).is_file():
        raise DatasetNotFoundError(
            f"no collection (there is no {MANIFEST_FILE})",
            where=base,
            remedy="run `heritage collect` first, or use raw=table or raw=class_folders",
        )
    raw = table(root, table=MANIFEST_FILE, images="images", columns={}, museum=museum, values={})
    return replace(raw, classes=_class_list(base), museums=_museums_of(base))


def rebuild(root: FilePath, *, dataset: FilePath) -> RawImages:
    """Read the sources of a data set from its own manifest.

    With the same settings curation makes the same data set, bit for bit; a photograph that has changed is
    dropped as *changed*.

    Args:
        root: The raw photographs: the folder that `raw_file` in the manifest is relative to.
        dataset: The data set's folder.

    Raises:
        DatasetNotFoundError: There is no such folder or manifest.
        ManifestError: The manifest is damaged, or was not written by `heritage curate`.
    """
    base, folder = Path(root), Path(dataset)
    require_folder(base, KEYS)
    require_folder(folder, KEYS._replace(root="raw.dataset"))
    path = folder / MANIFEST_FILE
    if not path.is_file():
        raise DatasetNotFoundError(f"no {MANIFEST_FILE}", where=folder, remedy="name a curated data set")
    manifest = read_table(path)
    if not {"raw_file", "raw_sha256", "raw_class"} <= set(manifest.column_names):
        raise ManifestError(
            "the manifest does not name the raw files",
            where=path,
            remedy="name a data set that `heritage curate` made",
        )
    columns = {name: manifest[name] for name in manifest.column_names if name not in _COMPUTED}
    # Classes as they were before the curator's decisions, which are applied again.
    columns["class"] = columns.pop("raw_class")
    columns["expected_sha256"] = columns.pop("raw_sha256")
    if "raw_group" in columns:
        columns["group_id"] = columns.pop("raw_group")
    _require_names_below(columns["raw_file"], path)
    overrides = folder / "overrides.csv"
    verdicts = folder / VERDICTS_FILE
    for file in (overrides, verdicts):
        require_inside([file.name], folder, file, remedy="replace the link by the file")
    description = _description(folder)
    return RawImages(
        base,
        _prepared(pa.table(columns), path),
        overrides=overrides if overrides.is_file() else None,
        verdicts=verdicts if verdicts.is_file() else None,
        classes=_class_list(folder),
        previous_split=_previous_split(manifest, description),
        rebuilt_from=description,
        museums=_museums_of(folder),
    )


def _require_names_below(files: pa.ChunkedArray, path: Path) -> None:
    """Refuse names that leave the raw photographs' folder; links inside it are the user's own."""
    for row, file in enumerate(files.cast(pa.string()).to_pylist(), start=1):
        if file is not None and not is_inside(file):
            raise ManifestError(
                f"row {row}: '{file}' leads out of raw.root", where=path, remedy="do not use this data set"
            )


def _previous_split(manifest: pa.Table, description: Mapping[str, Any] | None) -> PreviousSplit | None:
    """Return a data set's split. One that has grown was not split at once, so it cannot be computed again."""
    settings = (description or {}).get("configuration", {}).get("split")
    if settings is None or "split" not in manifest.column_names:
        return None
    rows = manifest.num_rows
    folds = manifest["fold"].to_pylist() if "fold" in manifest.column_names else [None] * rows
    assigned = zip(manifest["raw_sha256"].to_pylist(), manifest["split"].to_pylist(), folds, strict=True)
    return PreviousSplit(
        settings,
        {
            checksum: (SPLITS.index(split), UNASSIGNED if fold is None else fold)
            for checksum, split, fold in assigned
            if split in SPLITS
        },
    )


def _constants(values: Mapping[str, str], rows: int) -> dict[str, Any]:
    """Return columns that have one value each."""
    if unknown := sorted(set(values) - set(SCHEMA.names)):
        raise ManifestError(
            f"the manifest has no column '{unknown[0]}'",
            where="raw.values",
            remedy=suggestion(unknown[0], SCHEMA.names),
        )
    return {name: pa.chunked_array([[value] * rows], pa.string()) for name, value in values.items()}


def _class_list(folder: Path) -> tuple[str, ...] | None:
    description = _description(folder)
    return None if description is None else tuple(description["classes"])


def _museums_of(folder: Path) -> dict[str, Museum]:
    return read_museums((_description(folder) or {}).get("museums", ()))


def _description(folder: Path) -> dict[str, Any] | None:
    """Return the content of ``dataset.json``; None if there is no such file."""
    path = folder / DATASET_FILE
    if not path.is_file():
        return None
    try:
        description: dict[str, Any] = read_json_file(path, DatasetRecord)
    except (OSError, ValueError) as error:
        raise ManifestError(
            f"unreadable: {error}", where=path, remedy="remove it, or make it again"
        ) from error
    return description


def _prepared(source: pa.Table, where: Path) -> pa.Table:
    """Cast the manifest's columns to their types and sort the rows by file."""
    if source.num_rows == 0:
        raise ManifestError("there are no images", where=where, remedy="check raw.root and raw.images")
    if source["raw_file"].null_count:
        row = pc.index(pc.is_null(source["raw_file"]), value=True).as_py()
        raise ManifestError(f"row {row + 1} has no file", where=where, remedy="fill it in or remove the row")
    if "class" not in source.column_names:
        source = source.append_column("class", pa.nulls(source.num_rows, pa.string()))
    typed = cast_columns(source, where)
    return typed.take(pc.sort_indices(typed, [("raw_file", "ascending")]))


def _note_of_unlisted_files(base: Path, images: str, source: pa.Table) -> tuple[str, ...]:
    """Return a note of the images in the folder that the table does not list."""
    listed = set(source["raw_file"].to_pylist())
    unlisted = [name for name, _ in listed_images(base, images) if name not in listed]
    if not unlisted:
        return ()
    example = as_text(unlisted[0].rpartition("/")[2])
    return (
        f"{images} has {counted(len(unlisted), 'file')} that the table does not name, for example {example}.",
    )
