"""Feature stores: computed once, resumed, shared by splits and heads; damaged ones are refused."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from heritage.core.locks import FileLock
from heritage.data import ArtefactDataModule
from heritage.errors import BusyError, ConfigError, DataError
from heritage.features import compute
from heritage.features import store as store_module
from heritage.features.compute import Stopped, image_features, summary
from heritage.features.extractor import backbone_digest
from heritage.features.parts import Part, write_part
from heritage.features.shards import Shard
from heritage.features.store import read_store
from heritage.models.normalize import NormalizedModel
from tests.features.conftest import CPU, SIZE, WIDTH, Net, Open, place


def expected(net: Net, data: ArtefactDataModule, rows: np.ndarray) -> np.ndarray:
    pixels = torch.from_numpy(np.stack(data.eval_images("val", rows)))
    with torch.inference_mode():
        return net.forward_features(NormalizedModel(net).normalize(pixels)).numpy()


def test_only_missing_images_are_computed(opened: Open, data: ArtefactDataModule) -> None:
    net = Net()
    features = opened(net)
    seen = net._seen  # one blank image, for the width
    rows, values = features.of("val")
    assert rows.tolist() == list(range(len(data.rows("val"))))
    assert net._seen - seen == len(rows)
    np.testing.assert_allclose(values[:8], expected(net, data, np.arange(8)), rtol=1e-5)
    before = net._seen
    again, repeated = opened(net).of("val")
    assert net._seen == before
    assert (again == rows).all()
    assert (repeated == values).all()


def test_a_complete_store_is_one_array(opened: Open, data: ArtefactDataModule) -> None:
    features = opened()
    done = {split: features.of(split)[1] for split in ("train", "val", "test")}
    store = features.store
    assert store.complete
    assert not list((place(features) / "parts").iterdir())
    loaded = np.load(place(features) / "features.npy", mmap_mode="r")
    assert loaded.shape == (len(data.manifest), WIDTH)
    by_file = dict(zip(store.files, loaded, strict=True))
    for split, values in done.items():
        files = data.manifest.take(data.rows(split)).column("file")
        assert all((by_file[file] == row).all() for file, row in zip(files, values, strict=True))
    assert (read_store(place(features)).features == loaded).all()


def test_a_store_serves_another_head_split_and_selection(opened: Open, tree: Path) -> None:
    first = opened()
    first.compute()
    net = Net(classes=2)
    nn.init.zeros_(net.fc.weight)
    some = ArtefactDataModule(
        tree, classes=["orient", "asian"], image_size=SIZE, batch_size=4, num_workers=0, seed=3
    )
    features = opened(net, some)
    assert features.store.folder == place(first)
    assert len(features.of("train")[0]) == len(some.rows("train"))
    assert net._seen == 0


@pytest.mark.parametrize("change", ["weights", "size", "crop", "views", "dtype", "precision"])
def test_other_features_have_another_store(opened: Open, tree: Path, change: str) -> None:
    first = place(opened())
    net, options = Net(), {}
    data = ArtefactDataModule(tree, image_size=SIZE, batch_size=16, num_workers=0)
    if change == "weights":
        net = Net(seed=1)
    elif change == "size":
        data.set_input(24, "bilinear")
    elif change == "crop":
        data = ArtefactDataModule(tree, image_size=SIZE, crop_pct=0.8, batch_size=16, num_workers=0)
    elif change == "views":
        options = {"tta": "flip"}
    elif change == "dtype":
        options = {"dtype": "float16"}
    if change == "precision":
        other = image_features(
            NormalizedModel(net), data, device=CPU, precision="bf16-mixed", places=[first.parent]
        )
    else:
        other = opened(net, data, **options)
    assert other.store.folder != first


def test_the_digest_is_of_what_features_depend_on() -> None:
    digest = backbone_digest(Net())
    other_head = Net(classes=9)
    assert backbone_digest(other_head) == digest
    other_head.fc = nn.Sequential(nn.Linear(WIDTH, 2))  # type: ignore[assignment]
    assert backbone_digest(other_head) == digest
    assert backbone_digest(Net(seed=1)) != digest
    assert backbone_digest(Net().to(memory_format=torch.channels_last)) == digest
    dropping = Net()
    dropping.stem = nn.Sequential(dropping.stem)  # type: ignore[assignment]
    plain = backbone_digest(dropping)
    dropping.stem.append(nn.Dropout(0.5))  # type: ignore[operator]
    assert backbone_digest(dropping) == plain != digest
    more = Net()
    more.pool = "mean"  # type: ignore[assignment]
    assert backbone_digest(more) != digest


def test_features_of_several_views_are_their_mean(opened: Open, data: ArtefactDataModule) -> None:
    net = Net()
    (_, plain), (_, flipped) = opened(net).of("val"), opened(net, tta="flip").of("val")
    np.testing.assert_allclose(flipped, plain, rtol=1e-5)  # the mean colour has no side


def test_work_that_was_stopped_is_kept(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute, "PART_SECONDS", 0.0)
    net, calls = Net(), iter([False, False, True])
    with pytest.raises(Stopped):
        opened(net).compute(stopped=lambda: next(calls))
    features, before = opened(net), net._seen
    assert features.store.count == 2 * 16
    features.compute()
    assert features.store.complete
    assert net._seen - before == len(features.store) - 2 * 16


def test_shards_fill_one_store(opened: Open) -> None:
    for number in (2, 1, 3):
        features = opened()
        features.compute(shard=Shard(number, 3))
    assert features.store.complete
    net = Net()
    opened(net).compute()
    assert net._seen == 0
    assert np.isfinite(features.store.features).all()


def test_a_shard_has_one_process(opened: Open) -> None:
    features = opened()
    lock = FileLock(place(features) / Shard(2, 3).lock)
    try:
        with pytest.raises(BusyError, match="in use by another process"):
            features.compute(shard=Shard(2, 3), wait=False)
        features.compute(shard=Shard(1, 3), wait=False)
    finally:
        lock.release(remove=True)


def test_images_without_features_are_named_and_left_out(opened: Open, tree: Path, tmp_path: Path) -> None:
    root = tmp_path / "tree"
    shutil.copytree(tree, root)
    (root / "islam" / "003.jpg").write_bytes(b"no image")

    class Overflow(Net):
        def forward_features(self, images: Tensor) -> Tensor:
            values = super().forward_features(images)
            return torch.where(images.mean(dim=(1, 2, 3)).argsort()[:, None] == 0, torch.inf, values)

    data = ArtefactDataModule(root, image_size=SIZE, batch_size=len(list(root.rglob("*.jpg"))), num_workers=0)
    features = opened(Overflow(), data)
    features.compute()
    store = features.store
    assert store.unreadable == ["islam/003.jpg"]
    assert len(store.not_finite) == 1
    assert np.isnan(store.features).any(axis=1).sum() == 2
    assert [line.split(":")[0] for line in summary(store)] == [
        "1 image cannot be read",
        "1 image have features that are not finite",
    ]
    kept, values = features.of(np.arange(len(data.manifest)))
    assert len(kept) == len(data.manifest) - 2
    assert np.isfinite(values).all()
    shutil.copy(root / "islam" / "004.jpg", root / "islam" / "003.jpg")
    features.compute(retry=True)
    assert features.store.unreadable == []
    assert not store.has_parts


def test_float16_is_half_the_size(opened: Open) -> None:
    exact, half = opened(), opened(dtype="float16")
    exact.compute()
    half.compute()
    files = [place(one) / "features.npy" for one in (exact, half)]
    assert half.store.features.dtype == np.float16
    assert files[0].stat().st_size - 128 == 2 * (files[1].stat().st_size - 128)
    np.testing.assert_allclose(half.of("test")[1], exact.of("test")[1], rtol=2e-3, atol=1e-3)


def test_without_a_folder_features_are_in_memory(opened: Open, tmp_path: Path) -> None:
    net = Net()
    features = opened(net, places=[])
    features.of("val")
    before = net._seen
    features.of("val")
    assert net._seen == before
    assert features.store.folder is None
    assert not (tmp_path / "features").exists()


def test_damaged_parts_are_computed_again(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute, "PART_SECONDS", 0.0)
    features = opened()
    _, values = features.of("train")
    parts = sorted((place(features) / "parts").iterdir())
    parts[0].write_bytes(parts[0].read_bytes()[:-7])  # its length is checked when the store is opened
    flipped = bytearray(parts[1].read_bytes())
    flipped[-1] ^= 1  # its checksum when it is read
    parts[1].write_bytes(flipped)
    assert (opened().of("train")[1] == values).all()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("store.json", "{}", "unreadable"),
        ("store.json", "[" * 100_000, "unreadable"),
        ("store.json", {"rows": 10**15}, "unreadable: rows"),
        ("store.json", {"rows": 3}, "the rows of other images"),
        ("store.json", {"format": 2}, "of format 2, not 1"),
        ("rows.parquet", "no table", "unreadable"),
        ("features.npy", "no array", "damaged"),
        ("states.npy", None, "instead of uint8"),
    ],
)
def test_a_damaged_store_is_refused(opened: Open, name: str, content: object, message: str) -> None:
    features = opened()
    features.compute()
    folder = place(features)
    if isinstance(content, dict):
        content = json.dumps(json.loads((folder / name).read_text()) | content)
    if content is None:
        with (folder / name).open("wb") as file:
            np.save(file, np.zeros(3))
    else:
        (folder / name).write_text(str(content))
    with pytest.raises(DataError, match=message):
        _ = read_store(folder).features


def test_a_half_filled_store_is_no_array(opened: Open) -> None:
    features = opened()
    features.compute(shard=Shard(1, 2))
    with pytest.raises(DataError, match=r"40 images of 80 are missing.*run the same"):
        _ = read_store(place(features)).features


def test_a_store_does_not_share_its_folder(opened: Open, tmp_path: Path) -> None:
    folder = tmp_path / "photographs"
    folder.mkdir()
    (folder / "vase.jpg").touch()
    with pytest.raises(DataError, match="not empty, and not a feature store; choose a new folder"):
        opened(folder=folder)
    assert [path.name for path in folder.iterdir()] == ["vase.jpg"]
    with pytest.raises(ConfigError, match="cannot be written; choose another folder"):
        opened(folder=folder / "vase.jpg" / "store")
    begun = tmp_path / "begun"  # killed before store.json was written
    (begun / "parts").mkdir(parents=True)
    (begun / "rows.parquet").touch()
    assert opened(folder=begun).store.folder == begun


def test_images_of_a_larger_data_set_are_not_missing(opened: Open, tree: Path) -> None:
    whole = opened()
    some = ArtefactDataModule(tree, classes=["orient", "asian"], image_size=SIZE, num_workers=0)
    features = opened(Net(classes=2), some)
    assert features.store.folder == place(whole)
    assert features.missing == len(some.manifest)
    features.compute()
    assert features.missing == 0
    assert not features.store.complete


def test_networks_without_features_are_refused(opened: Open) -> None:
    class Headless(Net):
        @property
        def forward_head(self) -> object:  # type: ignore[override]
            raise AttributeError

    class Old(Net):
        def forward_head(self, x: Tensor) -> Tensor:  # type: ignore[override]
            return cast("Tensor", self.fc(x))

    for net, message in ((Headless(), "no forward_head"), (Old(), "no argument pre_logits")):
        with pytest.raises(ConfigError, match=message):
            opened(net)


def test_parts_elsewhere_are_not_touched(opened: Open, tmp_path: Path) -> None:
    features = opened()
    features.of("val")
    elsewhere = tmp_path / "models"
    elsewhere.mkdir()
    own = elsewhere / "000000001-1-0123abcd.safetensors"
    own.write_bytes(b"weights of somebody")
    parts = place(features) / "parts"
    shutil.rmtree(parts)
    parts.symlink_to(elsewhere)
    with pytest.raises(DataError, match="a link to another folder"):
        read_store(place(features))
    assert own.read_bytes() == b"weights of somebody"


@pytest.mark.parametrize("fault", ["pipe", "text", "other shape", "rows outside", "another store"])
def test_foreign_parts_are_left_out(opened: Open, fault: str) -> None:
    features = opened()
    folder = place(features)
    part = folder / "parts" / "000000001-1-0123abcd.safetensors"
    rows, states = np.array([1]), np.ones(1, dtype=np.uint8)
    if fault == "pipe":
        os.mkfifo(part)
    elif fault == "text":
        part.write_text("{" * 10_000)
    else:
        width = 3 if fault == "other shape" else WIDTH
        key = "x" if fault == "another store" else features.store.key.digest
        if fault == "rows outside":
            rows = np.array([10**9])
        values = np.zeros((1, width), dtype=np.float32)
        write_part(folder / "parts", key, rows, states, values).file.rename(part)  # type: ignore[union-attr]
    assert read_store(folder).count == 0
    assert not part.exists()


def test_a_full_disk_keeps_finished_parts(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute, "PART_SECONDS", 0.0)
    written: list[Part] = []

    def full(*arguments: Any) -> Part:
        if len(written) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(arguments[0]))
        written.append(write_part(*arguments))
        return written[-1]

    monkeypatch.setattr(store_module, "write_part", full)
    with pytest.raises(OSError, match="No space left"):
        opened().compute()
    monkeypatch.undo()
    features = opened()
    assert features.store.count == 2 * 16
    features.compute()
    assert features.store.complete


def test_a_store_that_cannot_be_written_is_continued_in_memory(
    opened: Open, data: ArtefactDataModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = opened()
    _, values = first.of("val")
    monkeypatch.setattr(compute, "_writable", lambda _: False)
    net = Net()
    features = opened(net)
    assert (features.of("val")[1] == values).all()
    assert net._seen == 0
    assert len(features.of("train")[0]) == net._seen == len(data.rows("train"))
    assert read_store(place(first)).count == len(values)
