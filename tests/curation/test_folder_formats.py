"""A curated folder in other libraries: `datasets` and mlcroissant read it as it is."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

from heritage.core.image_io import decode
from heritage.core.manifest import Manifest
from heritage.core.split_tables import SPLIT_TABLES, write_split_tables
from tests.conftest import mlcroissant
from tests.curation.conftest import Curate
from tests.curation.raw_folders import class_tree

TREE = "raw=class_folders"


def test_a_curated_folder_loads_with_datasets_as_images_with_labels_and_splits(
    tmp_path: Path, curate_folder: Curate
) -> None:
    datasets = importlib.import_module("datasets")
    curate_folder(class_tree(tmp_path / "raw", each=20), TREE)
    root = tmp_path / "out"
    manifest = Manifest.read(root)
    loaded = datasets.load_dataset(str(root), cache_dir=str(tmp_path / "cache"))
    splits = {"train": "train", "validation": "val", "test": "test"}
    assert set(loaded) == set(splits)
    assert sum(len(rows) for rows in loaded.values()) == len(manifest)
    rows = {row["image_id"]: row for row in manifest.table.to_pylist()}
    assert loaded["train"].features["label"].names == list(manifest.classes)
    for name, split in splits.items():
        for example in loaded[name]:
            row = rows[example["image_id"]]
            assert row["split"] == split
            assert loaded[name].features["label"].int2str(example["label"]) == row["class"]
            pixels = decode((root / row["file"]).read_bytes())
            assert np.abs(np.asarray(example["image"], dtype=int) - pixels).max() <= 3  # two JPEG decoders
    assert sorted(path.name for path in (root / "images").iterdir()) == sorted(
        Path(row["file"]).name for row in rows.values()
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning")
def test_croissant_metadata_of_a_curated_folder_are_valid_and_do_not_change_when_it_is_rebuilt(
    tmp_path: Path, curate_folder: Curate
) -> None:
    croissant = mlcroissant()
    raw = class_tree(tmp_path / "raw", each=12)
    curate_folder(raw, TREE)
    file = tmp_path / "out" / "croissant.json"
    first = file.read_bytes()
    dataset = croissant.Dataset(str(file))
    assert not dataset.metadata.ctx.issues.errors
    records = list(dataset.records("train"))
    manifest = Manifest.read(tmp_path / "out")
    expected = [row["image_id"] for row in manifest.table.to_pylist() if row["split"] == "train"]
    assert [record["train/image_id"].decode() for record in records] == expected
    assert all(record["train/image"].size == (64, 64) for record in records)
    curate_folder(raw, TREE)
    assert file.read_bytes() == first


def test_a_split_without_images_has_no_table(tmp_path: Path) -> None:
    columns = {"file": ["images/a.jpg", "images/b.jpg"], "class": ["x", "y"], "split": ["train", "train"]}
    (tmp_path / SPLIT_TABLES["test"]).write_bytes(b"of an earlier build")
    written = write_split_tables(Manifest.build(columns, tmp_path, ["x", "y"]), tmp_path)
    assert written == ["train.parquet"]
    assert [path.name for path in tmp_path.iterdir()] == ["train.parquet"]
