"""The images of an epoch under every sampling."""

from __future__ import annotations

import numpy as np
import pytest

from heritage.data.sampling import (
    InstanceBalanced,
    Oversample,
    ProgressivelyBalanced,
    ProgressiveUndersample,
    Sampling,
    Undersample,
    Weighted,
)
from heritage.errors import ConfigError

CLASSES = ("a", "b", "c")
TARGETS = np.repeat([0, 1, 2], [80, 30, 10])


def counts(sampling: Sampling, epoch: int = 0, seed: int = 0) -> list[int]:
    shown = TARGETS[sampling.sample(TARGETS, CLASSES, epoch, seed).rows]
    return [int(count) for count in np.bincount(shown, minlength=3)]


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (InstanceBalanced(), [80, 30, 10]),
        (Undersample(ratio=1.0, redraw=True), [10, 10, 10]),
        (Undersample(ratio=2.5, redraw=False), [25, 25, 10]),
        (Undersample(ratio=1e308, redraw=True), [80, 30, 10]),
        (Oversample(target="largest", classes=None), [80, 80, 80]),
        (Oversample(target=0.5, classes=None), [80, 40, 40]),
        (Oversample(target=55, classes=None), [80, 55, 55]),
        (Oversample(target="largest", classes=["c"]), [80, 30, 80]),
    ],
)
def test_counts(sampling: Sampling, expected: list[int]) -> None:
    assert counts(sampling) == expected
    assert counts(sampling, epoch=3, seed=5) == expected


def test_weighted_sampling_follows_the_power_of_the_frequencies() -> None:
    for power in (0.0, 0.5, 1.0):
        total = np.sum([counts(Weighted(power), epoch) for epoch in range(200)], axis=0)
        share = np.array([80, 30, 10]) ** (1 - power)
        assert total / total.sum() == pytest.approx(share / share.sum(), abs=0.012)


def test_progressive_balancing_goes_from_frequencies_to_balance() -> None:
    for epoch, progress in ((0, 0.0), (2, 0.5), (4, 1.0), (9, 1.0)):
        draws = [counts(ProgressivelyBalanced(epochs=5), epoch, seed) for seed in range(200)]
        total = np.sum(draws, axis=0)
        share = (1 - progress) * np.array([80, 30, 10]) / 120 + progress / 3
        assert total / total.sum() == pytest.approx(share, abs=0.012)


def test_progressive_undersampling_goes_in_both_directions() -> None:
    tighter = ProgressiveUndersample(first=4.0, last=1.0, epochs=3)
    assert [counts(tighter, epoch) for epoch in (0, 1, 2, 7)] == [
        [40, 30, 10], [20, 20, 10], [10, 10, 10], [10, 10, 10],
    ]  # fmt: skip
    looser = ProgressiveUndersample(first=1.0, last=8.0, epochs=4)
    assert [sum(counts(looser, epoch)) for epoch in range(4)] == [30, 50, 80, 120]
    assert not tighter.constant_length


@pytest.mark.parametrize(
    "sampling",
    [
        InstanceBalanced(),
        Undersample(1.0, redraw=True),
        Oversample("largest", None),
        Weighted(1.0),
        ProgressivelyBalanced(5),
        ProgressiveUndersample(3.0, 1.0, 5),
    ],
    ids=lambda s: type(s).__name__,
)
def test_epochs_differ_and_repeat_by_seed(sampling: Sampling) -> None:
    first = sampling.sample(TARGETS, CLASSES, 0, 7)
    again = sampling.sample(TARGETS, CLASSES, 0, 7)
    assert np.array_equal(first.rows, again.rows)
    assert np.array_equal(first.copies, again.copies)
    for epoch, seed in ((1, 7), (0, 8)):
        assert not np.array_equal(first.rows, sampling.sample(TARGETS, CLASSES, epoch, seed).rows)


def test_no_sampling_and_oversampling_use_every_image() -> None:
    for sampling in (InstanceBalanced(), Oversample("largest", None)):
        draw = sampling.sample(TARGETS, CLASSES, 2, 0)
        assert sorted(set(draw.rows.tolist())) == list(range(120))
        assert sorted(draw.rows[~draw.copies].tolist()) == list(range(120))
    repeats = np.bincount(Oversample("largest", None).sample(TARGETS, CLASSES, 0, 0).rows)[TARGETS == 1]
    assert repeats.max() - repeats.min() <= 1


def test_undersampling_without_redraw_keeps_its_images() -> None:
    once, afresh = Undersample(1.0, redraw=False), Undersample(1.0, redraw=True)
    kept = [set(once.sample(TARGETS, CLASSES, epoch, 0).rows.tolist()) for epoch in range(3)]
    assert kept[0] == kept[1] == kept[2]
    seen = set[int]().union(*(afresh.sample(TARGETS, CLASSES, epoch, 0).rows.tolist() for epoch in range(60)))
    assert len(seen) == 120


def test_copies_are_marked() -> None:
    for sampling in (Oversample("largest", None), Weighted(1.0)):
        draw = sampling.sample(TARGETS, CLASSES, 0, 0)
        first: set[int] = set(draw.rows[~draw.copies].tolist())
        assert len(first) == int((~draw.copies).sum())
        assert set(draw.rows[draw.copies].tolist()) <= first


def test_an_unknown_class_is_refused() -> None:
    with pytest.raises(ConfigError, match="unknown class 'd'"):
        Oversample("largest", ["d"]).sample(TARGETS, CLASSES, 0, 0)
