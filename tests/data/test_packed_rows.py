"""Packed images equal the images of the data set."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from heritage.core.image_io import decode, encode_jpeg
from heritage.core.manifest import Manifest
from heritage.core.packed_images import plan_shards, write_index, write_shard
from heritage.data.packed_rows import open_packed
from heritage.errors import DataError, DatasetNotFoundError, ImageError

SIDE = 24


def dataset(root: Path, count: int = 9) -> Manifest:
    rng = np.random.default_rng(0)
    (root / "images").mkdir(parents=True)
    files = [f"images/{number}.jpg" for number in range(count)]
    for file in files:
        (root / file).write_bytes(encode_jpeg(rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)))
    manifest = Manifest.build({"file": files, "class": ["a", "b", "c"] * (count // 3)}, root, ("a", "b", "c"))
    manifest.write(root)
    return manifest


def pack(manifest: Manifest) -> None:
    folder = manifest.root / "packed"
    folder.mkdir(exist_ok=True)
    sources = [manifest.root / file for file in manifest.column("file")]
    plans = plan_shards(folder, sources, manifest.column("image_id"), SIDE, shard_bytes=4 * SIDE * SIDE * 3)
    shards = [write_shard(plan, (decode(path.read_bytes()) for path in plan.sources)) for plan in plans]
    write_index(folder, shards, manifest.column("image_id"), manifest.fingerprint, SIDE)


def test_packed_images_follow_the_manifest(tmp_path: Path) -> None:
    whole = dataset(tmp_path)
    pack(whole)
    rows = np.array([7, 0, 4])
    few = whole.take(rows)  # of another order, size and fingerprint
    images = open_packed(few, "auto")
    assert images is not None
    for place, file in enumerate(few.column("file")):
        np.testing.assert_array_equal(images.read(place), decode((tmp_path / file).read_bytes()))
    np.testing.assert_array_equal(images.take(np.array([2])).read(0), images.read(2))


def test_verifying_a_packed_set_compares_its_checksums(tmp_path: Path) -> None:
    manifest = dataset(tmp_path)
    pack(manifest)
    shard = next((tmp_path / "packed").glob("*.npy"))
    content = shard.read_bytes()
    shard.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    images = open_packed(manifest, "auto")
    assert images is not None
    with pytest.raises(ImageError, match="checksum is wrong"):
        images.verify()


def test_files_are_read_if_the_packed_images_do_not_match(tmp_path: Path) -> None:
    manifest = dataset(tmp_path)
    assert open_packed(manifest, "auto") is None
    with pytest.raises(DatasetNotFoundError, match="no packed images"):
        open_packed(manifest, True)
    pack(manifest)
    assert open_packed(manifest, False) is None
    about = json.loads((tmp_path / "dataset.json").read_text())
    (tmp_path / "dataset.json").write_text(json.dumps(about | {"fingerprint": "another"}))
    assert open_packed(manifest, "auto") is None
    with pytest.raises(DataError, match="made from another data set"):
        open_packed(manifest, True)
