"""Data name files of their own folder alone, whatever way a name leads out."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from heritage.collection.ledger_rows import ImageRow
from heritage.collection.storage import PhotoStorage
from heritage.core.image_io import encode_jpeg
from heritage.core.manifest import Manifest
from heritage.core.packed_images import PackedImages, ShardPlan, write_index, write_shard
from heritage.core.paths_in_data import is_inside, require_inside
from heritage.curation import raw_sources
from heritage.curation.image_ids import image_ids
from heritage.data import readers
from heritage.errors import CollectionError, DataError, ImageError, ManifestError
from tests.conftest import patch


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A photograph of the user's, beside the data set."""
    path = tmp_path / "home" / "passport.jpg"
    path.parent.mkdir()
    path.write_bytes(encode_jpeg(patch(0, 0)))
    return path


@pytest.fixture
def folder(tmp_path: Path, secret: Path) -> Path:
    root = tmp_path / "set"
    (root / "images" / "sub").mkdir(parents=True)
    for name in ("a.jpg", "sub/b.jpg"):
        (root / "images" / name).write_bytes(encode_jpeg(patch(1, 1)))
    (root / "images" / "link.jpg").symlink_to(secret)
    (root / "images" / "folder").symlink_to(secret.parent)
    (root / "images" / "within.jpg").symlink_to(root / "images" / "a.jpg")
    return root


WAYS: dict[str, Callable[[Path], str]] = {
    "absolute": str,
    "dots": lambda _: "images/../../home/passport.jpg",
    "link": lambda _: "images/link.jpg",
    "linked folder": lambda _: "images/folder/passport.jpg",
    "dots behind a link": lambda _: "images/folder/../home/passport.jpg",
    "missing": lambda _: "../nowhere.jpg",
    "the folder above": lambda _: "images/..",
    "null": lambda _: "images/a\0.jpg",
    "nothing": lambda _: "",
}


def write_set(root: Path, files: list[str]) -> Path:
    count = len(files)
    table = pa.table({
        "file": files, "class": ["egyptian"] * count, "image_id": [str(n) for n in range(count)],
        "split": ["train"] * count, "raw_file": files, "raw_sha256": [""] * count,
        "raw_class": ["egyptian"] * count,
    })  # fmt: skip
    pq.write_table(table, root / "manifest.parquet")
    (root / "dataset.json").write_text(json.dumps({"classes": ["egyptian"]}))
    return root


def test_names_inside_are_accepted(folder: Path, tmp_path: Path) -> None:
    names = [
        "images/a.jpg",
        "images/sub/b.jpg",
        "images/within.jpg",
        "images/sub/../a.jpg",
        "missing.jpg",
        None,
    ]
    require_inside(names, folder, "x", remedy="y")
    (tmp_path / "linked set").symlink_to(folder)
    require_inside(names, tmp_path / "linked set", "x", remedy="y")
    assert Manifest.read(write_set(folder, ["images/a.jpg"])).column("file") == ["images/a.jpg"]


@pytest.mark.parametrize("way", WAYS)
def test_a_data_set_that_names_a_file_outside_is_refused_with_the_row(
    folder: Path, secret: Path, way: str
) -> None:
    write_set(folder, ["images/a.jpg", WAYS[way](secret)])
    with pytest.raises(ManifestError, match=r"manifest\.parquet: row 2: .* is outside .*; do not use it"):
        Manifest.read(folder)
    with pytest.raises(ManifestError, match="row 2"):
        readers.manifest(folder, None)


def read_in_train(root: Path, outside: bool | None) -> list[str]:
    columns = {"file": "file", "class": "class"}
    table = readers.table(root, None, table="t.csv", images="images", columns=columns, outside=outside)
    return [str(name) for name in table.column("file")]


def read_in_curate(root: Path, outside: bool | None) -> list[str]:
    raw = raw_sources.table(
        str(root), table="t.csv", images="images", columns={}, museum="LOCAL", values={}, outside=outside
    )
    return [str(name) for name in raw.table["raw_file"].to_pylist()]


@pytest.mark.parametrize("read", [read_in_train, read_in_curate])
def test_a_table_may_name_files_elsewhere_only_after_an_option(
    folder: Path, secret: Path, read: Callable[[Path, bool | None], list[str]]
) -> None:
    absolute = folder / "images" / "a.jpg"
    (folder / "t.csv").write_text(f"file,class\nsub/b.jpg,egyptian\n{absolute},islam\n", encoding="utf-8")
    assert sorted(map(os.path.basename, read(folder, None))) == ["a.jpg", "b.jpg"]
    for name in (secret, "../../home/passport.jpg", "link.jpg", "folder/passport.jpg"):
        (folder / "t.csv").write_text(f"file,class\nsub/b.jpg,egyptian\n{name},islam\n", encoding="utf-8")
        with pytest.raises(
            ManifestError, match=r"row 2: .* outside the folder .*(data\.reader|raw)\.outside=true allows"
        ):
            read(folder, None)
        named = [folder / file for file in read(folder, True)]
        assert secret.resolve() in [path.resolve() for path in named]


@pytest.mark.parametrize("way", ["absolute", "dots", "missing", "null", "nothing"])
def test_a_rebuilt_data_set_reads_below_its_photographs_alone(folder: Path, secret: Path, way: str) -> None:
    write_set(folder, ["images/a.jpg", WAYS[way](secret)])
    with pytest.raises(ManifestError, match=r"row 2: .* leads out of raw\.root"):
        raw_sources.rebuild(str(folder), dataset=str(folder))


def test_overrides_of_a_rebuilt_data_set_are_in_its_folder(folder: Path, secret: Path) -> None:
    write_set(folder, ["images/a.jpg"])
    (folder / "overrides.csv").symlink_to(secret)
    with pytest.raises(ManifestError, match=r"'overrides\.csv' is outside"):
        raw_sources.rebuild(str(folder), dataset=str(folder))


def test_is_inside() -> None:
    assert is_inside("images/a.jpg")
    assert not any(map(is_inside, ("/a", "../a", "a/../../b", "", ".", "a\0b", "a/..")))


def test_museum_codes_become_no_folders(tmp_path: Path) -> None:
    table = pa.table({"raw_file": ["a.jpg"], "class": ["islam"], "museum": ["../../x"]})
    (name,) = image_ids(raw_sources.RawImages(tmp_path, table), ["islam"], ["islam"])
    assert "/" not in name
    assert ".." not in name


def test_a_ledger_names_files_of_its_collection_alone(tmp_path: Path) -> None:
    storage = PhotoStorage(tmp_path, ledger=None, min_side=1, placeholders=frozenset())  # type: ignore[arg-type]
    row = ImageRow.__new__(ImageRow)
    object.__setattr__(row, "file", "../victim.jpg")
    with pytest.raises(CollectionError, match=r"names '\.\./victim\.jpg', which is outside"):
        storage.remove(row)


def pack(folder: Path) -> Path:
    pixels = np.zeros((8, 8, 3), np.uint8)
    plan = ShardPlan(folder / "shard-00000-abc.npy", (folder / "x",), 8)
    folder.mkdir()
    write_index(folder, [write_shard(plan, [pixels])], ["a"], "f", 8)
    return folder


def change_index(folder: Path, **values: object) -> None:
    from heritage.core.packed_images import _digest_of

    content = json.loads((folder / "index.json").read_text())
    index = content["index"]
    index["shards"][0] |= {name: value for name, value in values.items() if name in ("file", "rows")}
    index |= {name: value for name, value in values.items() if name in ("side", "image_ids")}
    (folder / "index.json").write_text(json.dumps({"sha256": _digest_of(index), "index": index}))


@pytest.mark.parametrize(
    "values",
    [{"file": "../victim.npy"}, {"file": "/etc/passwd"}, {"rows": 10**9}, {"rows": -1}, {"rows": True},
     {"side": 1.5}, {"side": "8"}, {"image_ids": ["a", "b"]}],
)  # fmt: skip
def test_an_index_of_packed_images_that_names_other_files_or_sizes_is_refused(
    tmp_path: Path, values: dict[str, object]
) -> None:
    folder = pack(tmp_path / "packed")
    assert PackedImages.open(folder).read(0).shape == (8, 8, 3)
    change_index(folder, **values)
    with pytest.raises(DataError):
        PackedImages.open(folder)


def test_a_shard_of_another_shape_is_refused(tmp_path: Path) -> None:
    folder = pack(tmp_path / "packed")
    shard = folder / "shard-00000-abc.npy"
    size = shard.stat().st_size
    np.save(shard, np.zeros(size - 128, np.uint8))
    assert shard.stat().st_size == size
    with pytest.raises(ImageError, match="not a shard of its index"):
        PackedImages.open(folder).read(0)
