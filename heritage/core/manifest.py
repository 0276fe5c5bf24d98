"""The manifest of a data set: a table with one row per image.

Its columns are those of `SCHEMA`, in that order, as far as they are known; only `file` and `class` are
required. On disk it is ``manifest.parquet``, beside ``images/`` and ``dataset.json``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import Field

from heritage.core.files import atomic_path, write_text
from heritage.core.json_files import JsonModel, read_json_file
from heritage.core.museums import Museum, count_drawn, museum_of, read_museums, write_museums
from heritage.core.parquet_files import read_parquet
from heritage.core.paths_in_data import require_inside
from heritage.core.taxonomy import class_list_fault, require_known_classes
from heritage.errors import DatasetNotFoundError, ManifestError

SCHEMA = pa.schema(
    [
        ("image_id", pa.string()),  # unique in the data set; the file's stem by the naming convention
        ("file", pa.string()),  # relative to the data set's root, with forward slashes
        ("class", pa.string()),
        ("museum", pa.string()),
        ("object_id", pa.string()),
        ("group_id", pa.string()),  # images of a group belong to one split
        ("split", pa.string()),  # train, val or test
        ("source_url", pa.string()),
        ("image_url", pa.string()),
        ("licence", pa.string()),
        ("credit", pa.string()),
        ("permalink", pa.string()),
        ("title", pa.string()),
        ("object_name", pa.string()),
        ("culture", pa.string()),
        ("period", pa.string()),
        ("begin_year", pa.int32()),  # negative: before the common era
        ("end_year", pa.int32()),
        ("rule", pa.string()),  # the class rule that labelled it
        ("sha256", pa.string()),
        ("phash", pa.uint64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("bytes", pa.int64()),  # the file's size
        ("status", pa.string()),  # kept or dropped
        ("reason", pa.string()),  # why it was dropped
    ]
)

SPLITS: tuple[str, ...] = ("train", "val", "test")
MANIFEST_FILE = "manifest.parquet"
DATASET_FILE = "dataset.json"


class DatasetRecord(JsonModel):
    """``dataset.json``, as far as it is read."""

    classes: list[str]
    fingerprint: str = ""
    museums: list[Any] = Field([])


_OUTSIDE = "do not use it, or copy its files into the folder"

# The columns of the fingerprint: everything that training and testing depend on.
_IDENTITY = ("image_id", "class", "group_id", "split", "sha256", "bytes")


@dataclass(frozen=True)
class Manifest:
    """The images of a data set and their metadata.

    Attributes:
        table: One row per image, with the columns of `SCHEMA` first; other columns are kept as they are.
        root: The folder that the `file` column is relative to.
        classes: The class list; the target of a row is the position of its class in it.
        museums: The museums that the data set describes, by code; others are looked up in the configuration.
    """

    table: pa.Table
    root: Path
    classes: tuple[str, ...]
    museums: Mapping[str, Museum] = field(default_factory=dict)

    @classmethod
    def build(
        cls,
        columns: Mapping[str, Any] | pa.Table,
        root: Path,
        classes: Sequence[str],
        *,
        where: str | PathLike[str] | None = None,
    ) -> Manifest:
        """Make a manifest of a table, after checking it.

        Args:
            columns: A table, or columns by name. `image_id` defaults to the file's path without its suffix
                (with it, if several files differ in their suffix alone); `group_id` to the object's id, and
                to the image's own where no object is known.
            root: The folder that the `file` column is relative to.
            classes: The class list.
            where: The file that the table was read from, for messages.

        Raises:
            ManifestError: A required column is missing, a value is missing, repeated or of the wrong type, or
                a class is unknown.
        """
        table = columns if isinstance(columns, pa.Table) else pa.table(dict(columns))
        place = where or root
        _require(table, ("file", "class"), place)
        if table.num_rows == 0:
            raise ManifestError("there are no images", where=place, remedy="check data.root")
        table = cast_columns(table, place)
        if "image_id" not in table.column_names:
            table = table.append_column("image_id", _default_ids(table["file"]))
        if "group_id" not in table.column_names:
            source = "object_id" if "object_id" in table.column_names else "image_id"
            table = table.append_column("group_id", table[source])
        # An image without a known object is its own group.
        table = _replace(table, "group_id", pc.coalesce(table["group_id"], table["image_id"]))
        _require_unique(table["file"], "file", place)
        _require_unique(table["image_id"], "image_id", place)
        require_known_classes(pc.unique(table["class"]).to_pylist(), classes, place)
        return cls(_in_order(table), Path(root), tuple(classes))

    @classmethod
    def read(cls, root: Path) -> Manifest:
        """Read a data-set folder.

        Raises:
            DatasetNotFoundError: ``root`` is not a data-set folder.
            ManifestError: The manifest is damaged or lacks columns.
        """
        path, about = root / MANIFEST_FILE, root / DATASET_FILE
        for needed in (path, about):
            if not needed.is_file():
                raise DatasetNotFoundError(
                    f"no {needed.name}", where=root, remedy="make the data set with `heritage curate`"
                )
        try:
            table = read_parquet(path)
        except (pa.ArrowInvalid, OSError) as error:
            raise ManifestError(f"unreadable: {error}", where=path, remedy="curate it again") from error
        try:
            description = read_json_file(about, DatasetRecord)
        except (OSError, ValueError) as error:
            raise ManifestError(f"unreadable: {error}", where=about, remedy="curate it again") from error
        classes, museums = description["classes"], read_museums(description.get("museums", ()))
        if fault := class_list_fault(classes):
            raise ManifestError(fault, where=about, remedy="curate it again")
        table = cast_columns(table, path)
        if "file" in table.column_names:
            require_inside(table["file"].to_pylist(), root, path, remedy=_OUTSIDE)
        if "status" in table.column_names:
            table = table.filter(pc.equal(pc.coalesce(table["status"], pa.scalar("kept")), "kept"))
        return replace(cls.build(table, root, classes, where=path), museums=museums)

    def write(
        self, root: Path, about: Mapping[str, Any] | None = None, *, table: pa.Table | None = None
    ) -> None:
        """Write ``manifest.parquet`` and ``dataset.json`` (classes, counts, fingerprint and ``about``).

        Args:
            root: The data set's folder.
            about: Further entries of ``dataset.json``.
            table: Rows to write, such as these images and those that were dropped; None writes these only.
        """
        with atomic_path(root / MANIFEST_FILE) as temporary:
            pq.write_table(self.table if table is None else table, temporary, compression="zstd")
        record = {
            "classes": list(self.classes),
            "images": len(self),
            "counts": self.counts(),
            "fingerprint": self.fingerprint,
            **({"drawn": self.drawn} if self.drawn else {}),
            **self.museum_record(),
            **(about or {}),
        }
        write_text(root / DATASET_FILE, json.dumps(record, indent=2, ensure_ascii=False) + "\n")

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def museum(self, code: object) -> Museum:
        """Return a museum by its code; an unknown code is its own name."""
        return museum_of(str(code), self.museums)

    def museum_record(self) -> dict[str, Any]:
        """Return the entry of ``dataset.json`` with the facts about these images' museums, if any."""
        facts = write_museums(self.museums, self.column("museum"))
        return {"museums": facts} if facts else {}

    def column(self, name: str) -> list[Any]:
        """Return a column as a list; a column that the manifest lacks is all None."""
        if name not in self.table.column_names:
            return [None] * len(self)
        values: list[Any] = self.table[name].to_pylist()
        return values

    @cached_property
    def drawn(self) -> int:
        """Number of images that are drawings of the built-in museum, not photographs."""
        return count_drawn(self.table)

    @cached_property
    def targets(self) -> npt.NDArray[np.int64]:
        """Targets: the position of each row's class in the class list, int64, shape (N,)."""
        positions = pc.index_in(self.table["class"].combine_chunks(), pa.array(self.classes))
        return np.asarray(positions.to_numpy(zero_copy_only=False), dtype=np.int64)

    def counts(self) -> dict[str, int]:
        """Return the number of images of each class, in the order of the class list."""
        return count_by_class(self.targets, self.classes)

    def take(self, rows: npt.NDArray[np.int64]) -> Manifest:
        """Return a manifest of the rows at these positions, in this order."""
        return replace(self, table=self.table.take(pa.array(rows)))

    @classmethod
    def concatenate(cls, parts: Sequence[Manifest]) -> Manifest:
        """Concatenate manifests of one data set."""
        return replace(parts[0], table=pa.concat_tables([part.table for part in parts]))

    def with_column(self, name: str, values: Sequence[Any] | npt.NDArray[Any]) -> Manifest:
        """Return a manifest with a column added or replaced."""
        kind = SCHEMA.field(name).type if name in SCHEMA.names else None
        table = _replace(self.table, name, pa.array(values, type=kind))
        return replace(self, table=_in_order(cast_columns(table, self.root)))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of everything that training and testing depend on: images, classes, groups and splits.

        It does not depend on the order of the rows or the location of the folder. Images whose checksum is
        unknown are identified by their name and size.
        """
        digest = hashlib.sha256("\n".join(self.classes).encode())
        order = pc.sort_indices(self.table["image_id"])
        for name in _IDENTITY:
            digest.update(f"\n{name}\n".encode())
            if name in self.table.column_names:
                values = self.table[name].cast(pa.string()).take(order).fill_null("").to_pylist()
                digest.update("\x1f".join(values).encode())
        return digest.hexdigest()


def count_by_class(targets: npt.NDArray[np.int64], classes: Sequence[str]) -> dict[str, int]:
    """Count targets by class, in the order of the class list."""
    counts = np.bincount(targets, minlength=len(classes))
    return {name: int(count) for name, count in zip(classes, counts, strict=True)}


def _require(table: pa.Table, names: Sequence[str], where: str | PathLike[str]) -> None:
    missing = [name for name in names if name not in table.column_names]
    if missing:
        raise ManifestError(
            f"no column {', '.join(missing)} (there are: {', '.join(table.column_names) or 'none'})",
            where=where,
            remedy="name the columns in data.reader.columns",
        )
    for name in names:
        if table[name].null_count:
            row = pc.index(pc.is_null(table[name]), value=True).as_py()
            raise ManifestError(
                f"row {row + 1} has no {name}", where=where, remedy="fill it in or remove the row"
            )


def _require_unique(values: pa.ChunkedArray, name: str, where: str | PathLike[str]) -> None:
    counted = pc.value_counts(values)
    counts = counted.field("counts").to_numpy(zero_copy_only=False)
    if counts.max() > 1:
        repeated = counted.field("values")[int(counts.argmax())].as_py()
        raise ManifestError(
            f"{name} '{repeated}' occurs {counts.max()} times", where=where, remedy="remove the repeated rows"
        )


def _default_ids(files: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return each file's path without its suffix, or with it where paths would be equal without it."""
    # The whole path, because stems repeat in a tree of folders.
    paths = pc.replace_substring_regex(files, r"\.[^./]+$", "")
    counted = pc.value_counts(paths)
    repeated = counted.field("values").filter(pc.greater(counted.field("counts"), 1))
    return pc.if_else(pc.is_in(paths, repeated), files, paths) if len(repeated) else paths


def _replace(table: pa.Table, name: str, values: Any) -> pa.Table:
    if name in table.column_names:
        return table.set_column(table.column_names.index(name), name, values)
    return table.append_column(name, values)


def _in_order(table: pa.Table) -> pa.Table:
    """Put the columns of the schema first, in its order."""
    known = [name for name in SCHEMA.names if name in table.column_names]
    others = [name for name in table.column_names if name not in SCHEMA.names]
    return table.select([*known, *others])


def cast_columns(table: pa.Table, where: str | PathLike[str]) -> pa.Table:
    """Cast the columns that the schema knows to its types.

    Args:
        table: A table with any of the schema's columns, and others.
        where: The file that the table was read from, for messages.

    Raises:
        ManifestError: A value cannot be cast.
    """
    columns = {}
    for name in table.column_names:
        kind = SCHEMA.field(name).type if name in SCHEMA.names else table[name].type
        try:
            columns[name] = table[name].cast(kind)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise ManifestError(
                f"column {name}: {error}", where=where, remedy="correct its values"
            ) from error
    return pa.table(columns)
