"""What there is to curate: a collector's folder, a tree of folders, a table with images, or a manifest.

Every reader returns `RawImages` without opening an image. A fault in the source as a whole (no folder,
no such column) stops the command; a fault of one row (no such file, no class) becomes that row's
status later.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from heritage.core.group_split import UNASSIGNED
from heritage.core.manifest import DATASET_FILE, MANIFEST_FILE, SCHEMA, SPLITS
from heritage.core.museums import Museum, MuseumCode, read_museums
from heritage.core.tables import read_table, renamed
from heritage.core.taxonomy import IMAGE_SUFFIXES, nearest
from heritage.curation.splits import PreviousSplit
from heritage.errors import DatasetNotFoundError, ManifestError

# Columns that describe a curated image: a new curation finds them anew.
_RECOMPUTED = frozenset(
    {"file", "image_id", "sha256", "phash", "width", "height", "bytes", "status", "reason", "group_id"}
)


@dataclass(frozen=True)
class RawImages:
    """Photographs to curate, and what is known of them before one is opened.

    Attributes:
        root: The folder that `raw_file` is relative to.
        table: One row a photograph: `raw_file`, `class` (null: not known), and any of the manifest's
            and other columns.
        notes: What a curator should know about the source, a sentence each.
        overrides: Decisions that came with the source.
        classes: The class list that came with the source.
        dealt: The splits that came with the source.
        made: The description of the data set that is made again.
        museums: The museums that the source describes, by code.
    """

    root: Path
    table: pa.Table
    notes: tuple[str, ...] = ()
    overrides: Path | None = None
    classes: tuple[str, ...] | None = None
    previous_split: PreviousSplit | None = None
    rebuilt_from: Mapping[str, Any] | None = None
    museums: Mapping[str, Museum] = field(default_factory=dict)


def class_folders(root: str, *, museum: MuseumCode, values: Mapping[str, str]) -> RawImages:
    """Read a tree with one folder for each class; hidden files and other files are passed over.

    Args:
        root: The tree.
        museum: The museum of files that are not named ``CLASSID_MUSEUM_UNIQUEID``.
        values: Columns of the manifest that are the same for all (``licence: CC0-1.0``).

    Raises:
        DatasetNotFoundError: ``root`` is no folder, or has no folders in it.
        ManifestError: The manifest has no such column.
    """
    base = _folder(root)
    folders = sorted(entry.name for entry in os.scandir(base) if entry.is_dir() and entry.name[0] != ".")
    if not folders:
        raise DatasetNotFoundError(
            "no folder for any class", where=base, remedy="use raw=table for images with a table"
        )
    files: list[str] = []
    labels: list[str] = []
    problems: list[str | None] = []
    for name in folders:
        for path in _pictures(base / name):
            file = path.relative_to(base).as_posix()
            files.append(_as_text(file))
            labels.append(_as_text(name))
            problems.append(None if files[-1] == file else "its name is not UTF-8: rename the file")
    columns: dict[str, Any] = {"raw_file": files, "class": labels, "museum": [museum] * len(files)}
    if any(problems):
        columns["raw_problem"] = problems
    return RawImages(base, _typed(pa.table(columns | _constant(values, len(files))), base))


def table(
    root: str,
    *,
    table: str,
    images: str,
    columns: Mapping[str, str],
    museum: MuseumCode,
    values: Mapping[str, str],
) -> RawImages:
    """Read images that a CSV or Parquet table describes.

    Args:
        root: The folder of both.
        table: The table's file name, relative to ``root``.
        images: The images' folder, relative to ``root``; file names in the table are relative to it.
        columns: The manifest's column names, each with the table's name for it (``file: filename``).
            Other columns are taken under their own names. Without a class column the class is read
            from file names of the form ``CLASSID_MUSEUM_UNIQUEID``.
        museum: The museum where neither the table nor the file name says.
        values: Columns of the manifest that are the same for all (``licence: CC0-1.0``).

    Raises:
        DatasetNotFoundError: No folder or table there.
        ManifestError: A column is missing, or a value makes no sense.
    """
    base = _folder(root)
    path = base / table
    if not path.is_file():
        raise DatasetNotFoundError(f"no table {table}", where=base, remedy="name it in raw.table")
    named = renamed(read_table(path), columns, path, "raw.columns")
    named["raw_file"] = _below(images, named.pop("file").cast(pa.string()))
    for inherited, original in {
        "expected_sha256": "sha256",
        "raw_status": "status",
        "raw_reason": "reason",
    }.items():
        if original in named:
            named[inherited] = named.pop(original)
    if "museum" not in named:
        named["museum"] = pa.chunked_array([[museum] * len(named["raw_file"])], pa.string())
    found = _typed(pa.table(_constant(values, len(named["raw_file"])) | named), path)
    return RawImages(base, found, _unlisted_files(base, images, found))


def collected(root: str, *, museum: MuseumCode) -> RawImages:
    """Read a folder that `heritage collect` filled: photographs and the manifest of them.

    Args:
        root: The folder.
        museum: The museum of rows that do not say.

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
    found = table(root, table=MANIFEST_FILE, images="images", columns={}, museum=museum, values={})
    return replace(found, classes=_classes_of(base), museums=_museums_of(base))


def rebuild(root: str, *, dataset: str) -> RawImages:
    """Read what a data set was made from, out of the data set's own manifest.

    With the same settings the same data set comes out, bit for bit; a photograph that has changed since is
    dropped, and said so.

    Args:
        root: The raw photographs: the folder that `raw_file` in the manifest is relative to.
        dataset: The data set's folder.

    Raises:
        DatasetNotFoundError: No such folder or manifest.
        ManifestError: The manifest is damaged, or was not written by `heritage curate`.
    """
    base, home = _folder(root), _folder(dataset)
    path = home / MANIFEST_FILE
    if not path.is_file():
        raise DatasetNotFoundError(f"no {MANIFEST_FILE}", where=home, remedy="name a curated data set")
    known = read_table(path)
    if not {"raw_file", "raw_sha256", "raw_class"} <= set(known.column_names):
        raise ManifestError(
            "the manifest does not say which raw files it was made from",
            where=path,
            remedy="name a data set that `heritage curate` made",
        )
    columns = {name: known[name] for name in known.column_names if name not in _RECOMPUTED}
    # Classes as they were before the curator's decisions, which are replayed.
    columns["class"] = columns.pop("raw_class")
    columns["expected_sha256"] = columns.pop("raw_sha256")
    given = {name: columns.pop(name) for name in ("raw_group",) if name in columns}
    if "raw_group" in given:
        columns["group_id"] = given["raw_group"]
    for name in (
        "split",
        "fold",
        "raw_width",
        "raw_height",
        "raw_bytes",
        "brightness",
        "contrast",
        "greyscale",
    ):
        columns.pop(name, None)
    overrides = home / "overrides.csv"
    made = _description(home)
    return RawImages(
        base,
        _typed(pa.table(columns), path),
        overrides=overrides if overrides.is_file() else None,
        classes=_classes_of(home),
        previous_split=_previous_split(known, made),
        rebuilt_from=made,
        museums=_museums_of(home),
    )


def _previous_split(known: pa.Table, made: Mapping[str, Any] | None) -> PreviousSplit | None:
    """Return who was dealt where: a data set that has grown was not dealt at one go."""
    settings = (made or {}).get("configuration", {}).get("split")
    if settings is None or "split" not in known.column_names:
        return None
    count = known.num_rows
    folds = known["fold"].to_pylist() if "fold" in known.column_names else [None] * count
    facts = zip(known["raw_sha256"].to_pylist(), known["split"].to_pylist(), folds, strict=True)
    return PreviousSplit(
        settings,
        {
            name: (SPLITS.index(split), UNASSIGNED if fold is None else fold)
            for name, split, fold in facts
            if split in SPLITS
        },
    )


def _constant(values: Mapping[str, str], rows: int) -> dict[str, Any]:
    if unknown := sorted(set(values) - set(SCHEMA.names)):
        near = nearest(unknown[0], SCHEMA.names)
        raise ManifestError(
            f"the manifest has no column '{unknown[0]}'",
            where="raw.values",
            remedy=f"did you mean '{near}'?" if near else f"choose from {', '.join(SCHEMA.names)}",
        )
    return {name: pa.chunked_array([[value] * rows], pa.string()) for name, value in values.items()}


def _folder(root: str) -> Path:
    path = Path(root)
    if not path.is_dir():
        raise DatasetNotFoundError(
            "no such folder", where=path, remedy="give the photographs' folder in raw.root"
        )
    return path


def _as_text(name: str) -> str:
    """Return a file's name as text that can be written; bytes that are none as escapes."""
    return name.encode("utf-8", "backslashreplace").decode()


def _pictures(folder: Path) -> Iterator[Path]:
    """Yield what is named like a picture, in order; a folder of such a name too, so that it is reported."""
    for entry in sorted(os.scandir(folder), key=lambda found: found.name):
        if entry.name[0] == ".":
            continue
        if Path(entry.name).suffix.lower() in IMAGE_SUFFIXES:
            yield Path(entry.path)
        elif entry.is_dir(follow_symlinks=False):  # a link to a folder above would never end
            yield from _pictures(Path(entry.path))


def _below(images: str, files: pa.ChunkedArray) -> pa.ChunkedArray:
    """Put the images' folder before file names that do not name it already."""
    prefix = "" if images in ("", ".") else f"{images.rstrip('/')}/"
    if pc.all(pc.starts_with(files, prefix)).as_py():
        return files
    return pc.binary_join_element_wise(prefix, files, "")


def _classes_of(folder: Path) -> tuple[str, ...] | None:
    about = _description(folder)
    return None if about is None else tuple(about["classes"])


def _museums_of(folder: Path) -> dict[str, Museum]:
    return read_museums((_description(folder) or {}).get("museums", ()))


def _description(folder: Path) -> dict[str, Any] | None:
    path = folder / DATASET_FILE
    if not path.is_file():
        return None
    try:
        about: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        about["classes"] = [str(name) for name in about["classes"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ManifestError(
            f"unreadable: {type(error).__name__}: {error}", where=path, remedy="remove it, or make it again"
        ) from error
    return about


def _typed(found: pa.Table, where: Path) -> pa.Table:
    """Give the manifest's columns their types, and put the rows into an order of their own."""
    if found.num_rows == 0:
        raise ManifestError(
            "there is not one photograph", where=where, remedy="check raw.root and raw.images"
        )
    if found["raw_file"].null_count:
        row = pc.index(pc.is_null(found["raw_file"]), value=True).as_py()
        raise ManifestError(
            f"row {row + 1} names no file", where=where, remedy="fill it in or remove the row"
        )
    if "class" not in found.column_names:
        found = found.append_column("class", pa.nulls(found.num_rows, pa.string()))
    columns = {}
    for name in found.column_names:
        kind = SCHEMA.field(name).type if name in SCHEMA.names else found[name].type
        try:
            columns[name] = found[name].cast(kind)
        except pa.ArrowInvalid as error:
            raise ManifestError(
                f"column {name}: {error}", where=where, remedy="correct its values"
            ) from error
    typed = pa.table(columns)
    return typed.take(pc.sort_indices(typed, [("raw_file", "ascending")]))


def _unlisted_files(base: Path, images: str, found: pa.Table) -> tuple[str, ...]:
    folder = base / images
    if not folder.is_dir():
        raise DatasetNotFoundError("no such folder", where=folder, remedy="name it in raw.images")
    known = set(found["raw_file"].to_pylist())
    extra = [p for p in _pictures(folder) if p.relative_to(base).as_posix() not in known]
    if not extra:
        return ()
    return (f"{len(extra):,} files in {images} are not in the table, for example {_as_text(extra[0].name)}.",)
