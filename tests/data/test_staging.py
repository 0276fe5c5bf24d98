"""Packed images are copied to a node's disk once, and verified."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from heritage.core.packed_images import PackedImages, plan_shards, write_index, write_shard
from heritage.data.staging import stage
from heritage.errors import DataError

COUNT, SIDE = 10, 8


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    folder = tmp_path / "set" / "packed"
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    pictures = random.integers(0, 255, (COUNT, SIDE, SIDE, 3), dtype=np.uint8)
    names = [f"image-{number}" for number in range(COUNT)]
    plans = plan_shards(folder, [Path(name) for name in names], names, SIDE, shard_bytes=4 * SIDE * SIDE * 3)
    shards, start = [], 0
    for plan in plans:
        shards.append(write_shard(plan, _rows(pictures, start, len(plan.sources))))
        start += len(plan.sources)
    write_index(folder, shards, names, "f" * 64, SIDE)
    return folder


def _rows(pictures: np.ndarray, start: int, count: int) -> Iterable[np.ndarray]:
    return iter(pictures[start : start + count])


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def same(one: Path, other: Path) -> bool:
    left, right = PackedImages.open(one), PackedImages.open(other)
    return all((left.read(row) == right.read(row)).all() for row in range(COUNT))


def test_a_copy_is_made_once_and_repaired_if_damaged(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[str] = []
    real = shutil.copyfile

    def counted(source: Path, target: Path) -> None:
        copied.append(Path(source).name)
        real(source, target)

    monkeypatch.setattr(shutil, "copyfile", counted)
    with ThreadPoolExecutor(4) as pool:  # the processes of a node, all at once
        targets = set(pool.map(lambda _: stage(packed, tmp_path / "scratch"), range(4)))
    (target,) = targets
    assert same(packed, target)
    assert sorted(copied) == sorted(path.name for path in packed.iterdir())

    cut = next(target.glob("shard-00001*"))
    cut.write_bytes(cut.read_bytes()[:50])
    copied.clear()
    assert stage(packed, tmp_path / "scratch") == target
    assert sorted(copied) == sorted(["index.json", cut.name])
    assert same(packed, target)


def test_too_small_a_disk_is_an_error(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(100, 90, 10))
    with pytest.raises(DataError, match=r"staging needs .* MiB are free; remove older copies"):
        stage(packed, tmp_path / "scratch")


def test_a_disk_that_fills_up_leaves_no_partial_copy(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Path, target: Path) -> None:
        Path(target).write_bytes(Path(source).read_bytes()[:20])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(DataError, match="staging needs"):
        stage(packed, tmp_path / "scratch")
    assert not [path for path in (tmp_path / "scratch").rglob("*") if path.suffix in (".npy", ".json")]


def test_a_copy_with_another_checksum_is_refused(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def garbled(source: Path, target: Path) -> None:
        data = bytearray(Path(source).read_bytes())
        data[-1] ^= 1
        Path(target).write_bytes(data)

    monkeypatch.setattr(shutil, "copyfile", garbled)
    with pytest.raises(DataError, match="checksum is wrong after copying"):
        stage(packed, tmp_path / "scratch")
