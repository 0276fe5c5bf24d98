"""The loader: each image once on any number of ranks, no repeated augmentation, resumable."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from heritage.core.image_io import encode_jpeg
from heritage.core.manifest import Manifest
from heritage.core.taxonomy import CLASSES
from heritage.data.augment import Augmentation
from heritage.data.dataset import ArtefactDataset, ImageFiles
from heritage.data.loader import ArtefactLoader, EpochPlan, Rank
from heritage.data.module import ArtefactDataModule
from heritage.data.readers import class_folders
from heritage.data.sampling import (
    InstanceBalanced,
    Oversample,
    ProgressivelyBalanced,
    ProgressiveUndersample,
    Sampling,
    Undersample,
    Weighted,
)
from heritage.errors import DataError

BUSY = Augmentation(
    crop_scale=[0.3, 1.0], crop_ratio=[0.7, 1.4], flip=0.5, rotate=10, zoom=0.1, shear=3, distort=0.1,
    brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, grey=0.2, blur=0.2, rand_ops=1, rand_magnitude=5,
)  # fmt: skip
SAMPLINGS = [InstanceBalanced(), Undersample(1.0, redraw=True), Oversample("largest", None), Weighted(1.0),
             ProgressivelyBalanced(3), ProgressiveUndersample(3.0, 1.0, 3)]  # fmt: skip


def loader(
    manifest: Manifest, *, workers: int = 0, seed: int = 0, sampling: Sampling | None = None,
    batch_size: int = 16, augment: bool = True,
) -> ArtefactLoader:  # fmt: skip
    transform = BUSY if augment else None
    dataset = ArtefactDataset(
        ImageFiles(manifest, 32), manifest.targets, size=32, interpolation="bilinear", transform=transform
    )
    plan = EpochPlan(
        manifest.targets, manifest.classes, sampling or InstanceBalanced(), batch_size=batch_size, seed=seed
    )
    return ArtefactLoader(dataset, plan, num_workers=workers)


@pytest.fixture(scope="module")
def manifest(tree: Path) -> Manifest:
    return class_folders(tree, CLASSES)


def pixels(found: ArtefactLoader) -> dict[int, torch.Tensor]:
    return {int(row): image for batch in found for row, image in zip(batch.rows, batch.images, strict=True)}


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize("batch_size", [1, 7, 64, 1000])
def test_every_image_is_used_once_on_any_number_of_ranks(
    sampling: Sampling, ranks: int, batch_size: int
) -> None:
    targets = np.repeat([0, 1, 2], [40, 25, 12])
    plans = [
        EpochPlan(targets, ("a", "b", "c"), sampling, batch_size=batch_size, seed=1, rank=Rank(k, ranks))
        for k in range(ranks)
    ]
    batches = [list(plan) for plan in plans]
    assert len({len(part) for part in batches}) == 1, "ranks must take the same number of steps"
    assert len(batches[0]) == len(plans[0])
    shown = np.concatenate([plan.rows for part in batches for plan in part])
    expected = sampling.sample(targets, ("a", "b", "c"), 0, 1).rows
    assert sorted(shown.tolist()) == sorted(expected.tolist())
    sizes = [len(plan.rows) for part in batches for plan in part]
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= batch_size
    seeds = [plan.seed for part in batches for plan in part]
    assert len(set(seeds)) == len(seeds), "no two batches may share an augmentation stream"


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("images", [1, 76, 77, 78, 200, 1000])
def test_steps_to_show_a_number_of_images(sampling: Sampling, ranks: int, images: int) -> None:
    targets = np.repeat([0, 1, 2], [40, 25, 12])
    plans = [
        EpochPlan(targets, ("a", "b", "c"), sampling, batch_size=9, seed=1, rank=Rank(k, ranks))
        for k in range(ranks)
    ]
    steps: list[int] = []  # by walking through the epochs
    shown = 0
    while shown < images:
        for plan in plans:
            plan.set_epoch(len(steps))
        steps.append(0)
        for parts in zip(*plans, strict=True):
            steps[-1] += 1
            shown += sum(len(part.rows) for part in parts)
            if shown >= images:
                break
    assert plans[0].steps_to_show(images) == steps


@pytest.mark.parametrize("ranks", [1, 2])
def test_repeated_batches_equal_those_of_the_first_epoch(ranks: int) -> None:
    targets = np.repeat([0, 1, 2], [40, 25, 12])
    for rank in (Rank(k, ranks) for k in range(ranks)):
        own = list(EpochPlan(targets, ("a", "b", "c"), InstanceBalanced(), batch_size=9, seed=1, rank=rank))
        plan = EpochPlan(
            targets, ("a", "b", "c"), InstanceBalanced(), batch_size=9, seed=1, rank=rank, repeat=2
        )
        for epoch in range(3):
            plan.set_epoch(epoch)
            assert len(plan) == 2
            for found, expected in zip(plan, own[:2], strict=True):
                assert found.rows.tolist() == expected.rows.tolist()
                assert found.seed == expected.seed


def test_batches_are_uint8_and_belong_to_their_rows(manifest: Manifest) -> None:
    batch = next(iter(loader(manifest)))
    assert batch.images.dtype == torch.uint8
    assert batch.images.shape == (16, 32, 32, 3)
    assert torch.equal(batch.targets, torch.from_numpy(manifest.targets)[batch.rows])
    assert not len(batch.unreadable)


def test_the_same_seed_repeats_with_any_number_of_workers(manifest: Manifest) -> None:
    alone, one, two = (pixels(loader(manifest, workers=workers)) for workers in (0, 1, 2))
    assert alone.keys() == one.keys() == two.keys()
    assert all(torch.equal(alone[row], one[row]) and torch.equal(alone[row], two[row]) for row in alone)
    other = pixels(loader(manifest, seed=1))
    assert not any(torch.equal(alone[row], other[row]) for row in alone)


def test_no_epoch_and_no_image_repeats_an_augmentation(tmp_path: Path) -> None:
    # One picture under many names: equal results could only come from equal random numbers.
    random = np.random.default_rng(0)
    picture = encode_jpeg(random.integers(0, 255, (64, 64, 3), dtype=np.uint8))
    for name in CLASSES:
        (tmp_path / name).mkdir()
        for number in range(12):
            (tmp_path / name / f"{number}.jpg").write_bytes(picture)
    found = loader(class_folders(tmp_path, CLASSES), workers=2, batch_size=8)
    seen: set[bytes] = set()
    for epoch in range(3):
        found.plan.set_epoch(epoch)
        for image in pixels(found).values():
            seen.add(image.numpy().tobytes())
    assert len(seen) == 3 * 72


def test_transforms_are_random_independently_of_each_other() -> None:
    twins = Augmentation(
        crop_scale=None, crop_ratio=[1.0, 1.0], flip=0.5, rotate=0, zoom=0, shear=0, distort=0, brightness=0,
        contrast=0, saturation=0, hue=0, grey=0.5, blur=0, rand_ops=0, rand_magnitude=0,
    )  # fmt: skip
    pipeline = twins.pipeline(8, "bilinear")
    picture = np.zeros((8, 8, 3), dtype=np.uint8)
    picture[:, :4, 0] = 200  # red on the left
    kinds = set()
    for seed in range(60):
        pipeline.seed(seed)
        changed = pipeline(picture)
        kinds.add((bool(changed[0, 7].max() > 50), bool(changed.max(axis=(0, 1))[1] > 10)))
    assert len(kinds) == 4, "flip and grey must be drawn independently"


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_resumes_within_an_epoch(manifest: Manifest, workers: int) -> None:
    whole = loader(manifest, workers=workers)
    whole.plan.set_epoch(2)
    expected = list(whole)

    stopped = loader(manifest, workers=workers)
    stopped.plan.set_epoch(2)
    stream = iter(stopped)
    for _ in range(2):
        next(stream)
    state = stopped.state_dict()
    assert state == {"epoch": 2, "batches": 2}

    resumed = loader(manifest, workers=workers)
    resumed.load_state_dict(state)
    rest = list(resumed)
    assert len(rest) == len(expected) - 2
    for got, other in zip(rest, expected[2:], strict=True):
        assert torch.equal(got.images, other.images)
        assert torch.equal(got.rows, other.rows)
    resumed.plan.set_epoch(3)
    assert len(list(resumed)) == len(expected), "the next epoch is whole again"


def test_a_finished_epoch_is_not_skipped_in_the_next(manifest: Manifest) -> None:
    found = loader(manifest)
    steps = len(found)
    stream = iter(found)
    for _ in range(steps):
        next(stream)  # the generator is never closed, as under Lightning
    resumed = loader(manifest)
    resumed.load_state_dict(found.state_dict())
    resumed.plan.set_epoch(1)
    assert len(list(resumed)) == steps


def test_only_copies_get_the_stronger_augmentation(manifest: Manifest) -> None:
    dark = Augmentation(
        crop_scale=None, crop_ratio=[1.0, 1.0], flip=0, rotate=0, zoom=0, shear=0, distort=0, brightness=0,
        contrast=0, saturation=1.0, hue=0, grey=1.0, blur=0, rand_ops=1, rand_magnitude=10,
    )  # fmt: skip
    still = Augmentation(
        crop_scale=None, crop_ratio=[1.0, 1.0], flip=0, rotate=0, zoom=0, shear=0, distort=0, brightness=0,
        contrast=0, saturation=0, hue=0, grey=0, blur=0, rand_ops=0, rand_magnitude=0,
    )  # fmt: skip
    images = ImageFiles(manifest, 32)
    dataset = ArtefactDataset(images, manifest.targets, size=32, interpolation="bilinear",
                              transform=still, copies=dark)  # fmt: skip
    plain = ArtefactDataset(images, manifest.targets, size=32, interpolation="bilinear", transform=still)
    plan = EpochPlan(manifest.targets, CLASSES, Oversample("largest", None), batch_size=40, seed=0)
    changed = 0
    for part in plan:
        batch, reference = dataset.__getitems__(part), plain.__getitems__(part)
        same = [torch.equal(a, b) for a, b in zip(batch.images, reference.images, strict=True)]
        assert all(same[k] for k in np.flatnonzero(~part.copies))
        changed += sum(not same[k] for k in np.flatnonzero(part.copies))
    assert changed > 20


def test_unreadable_images_are_left_out_and_recorded(tree: Path, tmp_path: Path) -> None:
    manifest = class_folders(tree, CLASSES)
    files = manifest.column("file")
    files[3] = "egyptian/gone.jpg"
    broken = manifest.with_column("file", files)
    found = loader(broken, augment=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("heritage.data.dataset.log.warning", lambda *_: None)
        rows = [int(row) for batch in found for row in batch.rows]
    assert sorted(rows) == [row for row in range(len(broken)) if row != 3]
    assert found.unreadable == {3}


def test_a_batch_without_readable_images_is_an_error(tree: Path) -> None:
    manifest = class_folders(tree, CLASSES)
    gone = manifest.with_column("file", [f"gone/{name}" for name in manifest.column("file")])
    with pytest.raises(DataError, match="no image of a batch can be read"):
        list(loader(gone, augment=False))


def test_unreadable_images_of_earlier_epochs_stay_recorded(tree: Path) -> None:
    def gone(root: Path, classes: Sequence[str] | None) -> Manifest:
        found = class_folders(root, classes)
        return found.with_column("file", ["egyptian/gone.jpg", *found.column("file")[1:]])

    def all_train(found: Manifest) -> Manifest:
        return found.with_column("split", ["train"] * len(found))

    module = ArtefactDataModule(
        str(tree), gone, list(CLASSES), all_train, 32, 1.0, 16, 0, False, False, None,
        train=BUSY, copies=BUSY, sampling=ProgressiveUndersample(3.0, 1.0, 3), seed=0,
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("heritage.data.dataset.log.warning", lambda *_: None)
        list(module.loader("train"))
    module.loader("train")  # the next epoch's: its length differs, so Lightning requests a new one
    assert module.unreadable("train") == ["egyptian/gone.jpg"]
