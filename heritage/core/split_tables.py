"""The tables with which the `datasets` library loads a data-set folder: one Parquet file for each split.

``datasets.load_dataset(folder)`` reads ``configs`` in the front matter of ``README.md``: the images with
``train.parquet``, ``validation.parquet`` and ``test.parquet`` as their metadata. Each table names the images
of its split in ``file_name`` and records the names of the classes in its schema, so that ``label`` is a
ClassLabel. No image is copied, and no loading script is needed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from heritage.core.escaping import web_link
from heritage.core.files import atomic_path
from heritage.core.manifest import SPLITS, Manifest

SPLIT_TABLES: dict[str, str] = {
    split: f"{'validation' if split == 'val' else split}.parquet" for split in SPLITS
}
"""The table of each split, by the split's name in the manifest."""

TEXT_COLUMNS: dict[str, str] = {
    "image_id": "the image's id in manifest.parquet",
    "group": "images of one group show one object, and are in one split",
    "museum": "the museum's code",
    "title": "the object's title",
    "credit": "the credit line",
    "licence": "the licence of the photograph",
    "link": "the object's page",
}
"""The columns of text beside ``file_name`` and ``label``, and what they hold."""

_SOURCES = {"group": "group_id"}  # where the manifest has another name


def used_splits(manifest: Manifest) -> list[str]:
    """Return the splits that have images, in the order of `SPLITS`."""
    present = set(manifest.column("split"))
    return [split for split in SPLITS if split in present]


def write_split_tables(manifest: Manifest, root: Path) -> list[str]:
    """Write the tables into a data-set folder, and remove those of splits without images.

    Args:
        manifest: The images, with their splits.
        root: The folder.

    Returns:
        The names of the tables.
    """
    columns: dict[str, list[Any]] = {
        "file_name": manifest.column("file"),
        "label": manifest.targets.tolist(),
        **{name: manifest.column(_SOURCES.get(name, name)) for name in TEXT_COLUMNS if name != "link"},
        "link": [
            web_link(link) or web_link(source) or None
            for link, source in zip(manifest.column("permalink"), manifest.column("source_url"), strict=True)
        ],
    }
    whole = pa.table({name: pa.array(values, kind) for (name, values), kind in zip(
        columns.items(), (pa.string(), pa.int64(), *[pa.string()] * len(TEXT_COLUMNS)), strict=True
    )})  # fmt: skip
    whole = whole.replace_schema_metadata(
        {"huggingface": json.dumps({"info": {"features": _features(manifest)}})}
    )
    splits = pa.array(manifest.column("split"), pa.string())
    written = []
    for split, name in SPLIT_TABLES.items():
        rows = whole.filter(pc.fill_null(pc.equal(splits, split), False))
        if rows.num_rows:
            with atomic_path(root / name) as temporary:
                pq.write_table(rows, temporary, compression="zstd")
            written.append(name)
        else:
            (root / name).unlink(missing_ok=True)
    return written


def load_dataset_configs(manifest: Manifest) -> list[dict[str, Any]]:
    """Return ``configs`` for the front matter of ``README.md``; empty without splits."""
    splits = used_splits(manifest)
    if not splits:
        return []
    pattern = "images/**" if any(file.count("/") > 1 for file in manifest.column("file")) else "images/*"
    tables = [SPLIT_TABLES[split] for split in splits]
    files = [{"split": table.removesuffix(".parquet"), "path": [table, pattern]} for table in tables]
    return [
        {"config_name": "default", "data_files": files, "metadata_filenames": tables, "drop_labels": True}
    ]


def _features(manifest: Manifest) -> dict[str, Any]:
    text = {"dtype": "string", "_type": "Value"}
    label = {"names": list(manifest.classes), "_type": "ClassLabel"}
    return {"file_name": text, "label": label, **dict.fromkeys(TEXT_COLUMNS, text)}
