"""Packed images are read as written, and damage is detected."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from heritage.core.packed_images import (
    PackedImages,
    ShardPlan,
    plan_shards,
    remove_other_shards,
    require_space,
    write_index,
    write_shard,
)
from heritage.errors import DataError, DatasetNotFoundError, ImageError


def images(count: int, side: int = 16) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def pack(folder: Path, content: np.ndarray, each: int = 4) -> list[str]:
    names = [f"image{row}" for row in range(len(content))]
    side = content.shape[1]
    plans = plan_shards(
        folder, [Path(name) for name in names], names, side, shard_bytes=each * side * side * 3
    )
    shards = []
    start = 0
    for plan in plans:
        shards.append(write_shard(plan, iter(content[start : start + len(plan.sources)])))
        start += len(plan.sources)
    write_index(folder, shards, names, "fingerprint", side)
    return names


def test_images_are_read_as_written(tmp_path: Path) -> None:
    content = images(10)
    names = pack(tmp_path, content)
    packed = PackedImages.open(tmp_path)
    assert len(packed) == 10
    assert [len(np.load(path)) for path in sorted(tmp_path.glob("*.npy"))] == [4, 4, 2]
    for row in range(10):
        np.testing.assert_array_equal(packed.read(row), content[row])
    assert packed.rows_of(reversed(names)).tolist() == list(range(9, -1, -1))
    packed.verify()


def test_images_are_read_only_views(tmp_path: Path) -> None:
    pack(tmp_path, images(5))
    packed = PackedImages.open(tmp_path)
    image = packed.read(3)
    assert not image.flags.owndata
    assert np.shares_memory(image, packed.read(3))
    with pytest.raises(ValueError, match="read-only"):
        image[0] = 0
    for row in (5, -1):
        with pytest.raises(IndexError):
            packed.read(row)


def test_a_pickled_copy_maps_the_files_itself(tmp_path: Path) -> None:
    content = images(6)
    pack(tmp_path, content)
    packed = PackedImages.open(tmp_path)
    packed.read(0)
    data = pickle.dumps(packed)
    assert len(data) < content.nbytes / 2
    np.testing.assert_array_equal(pickle.loads(data).read(5), content[5])  # noqa: S301  what we pickled


def test_damaged_files_are_detected(tmp_path: Path) -> None:
    pack(tmp_path, images(10))
    shard = sorted(tmp_path.glob("*.npy"))[1]
    sound = shard.read_bytes()
    shard.write_bytes(sound[:-7] + b"\x00" + sound[-6:])
    with pytest.raises(ImageError, match="its checksum is wrong"):
        PackedImages.open(tmp_path).verify()
    shard.write_bytes(sound[:-1])
    with pytest.raises(DataError, match="missing or truncated"):
        PackedImages.open(tmp_path)
    shard.write_bytes(sound)
    index = json.loads((tmp_path / "index.json").read_text())
    index["index"]["image_ids"][0] = "another"
    (tmp_path / "index.json").write_text(json.dumps(index))
    with pytest.raises(DataError, match="damaged"):
        PackedImages.open(tmp_path)
    (tmp_path / "index.json").unlink()
    with pytest.raises(DatasetNotFoundError):
        PackedImages.open(tmp_path)


def test_an_interrupted_shard_leaves_no_file_and_finished_ones_are_kept(tmp_path: Path) -> None:
    content = images(8)
    names = [f"image{row}" for row in range(8)]
    first, second = plan_shards(tmp_path, [Path(name) for name in names], names, 16, shard_bytes=4 * 768)
    write_shard(first, iter(content[:4]))

    def broken() -> object:
        yield content[4]
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_shard(second, broken())  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == [first.path.name]
    write_shard(first, iter(()))  # found whole: no image is drawn
    assert require_space(tmp_path, [first, second]) == 128 + 4 * 768


@pytest.mark.parametrize("damage", ["cut off", "changed"])
def test_packing_again_repairs_a_damaged_shard(tmp_path: Path, damage: str) -> None:
    content = images(10)
    pack(tmp_path, content)
    shard = sorted(tmp_path.glob("*.npy"))[1]
    sound = shard.read_bytes()
    shard.write_bytes(sound[:-1] if damage == "cut off" else sound[:-1] + bytes([sound[-1] ^ 1]))
    pack(tmp_path, content)
    assert shard.read_bytes() == sound
    PackedImages.open(tmp_path).verify()


def test_shards_of_other_images_are_removed_first(tmp_path: Path) -> None:
    pack(tmp_path, images(10))
    names = [f"other{row}" for row in range(10)]
    plans = plan_shards(tmp_path, [Path(name) for name in names], names, 16, shard_bytes=4 * 768)
    (tmp_path / ".shard-00000-left.npy").touch()
    remove_other_shards(tmp_path, plans)
    assert list(tmp_path.iterdir()) == []


def test_too_small_a_disk_is_an_error_before_packing(tmp_path: Path) -> None:
    huge = ShardPlan(tmp_path / "shard.npy", tuple([Path("x")] * 1000), 100_000)
    with pytest.raises(DataError, match="packing needs 28,610,229 MiB"):
        require_space(tmp_path, [huge])
