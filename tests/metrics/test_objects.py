"""Predictions by object instead of by photograph."""

from __future__ import annotations

import numpy as np
import pytest

from heritage.metrics.objects import combined, object_scores


def test_an_object_has_the_mean_of_its_photographs_probabilities() -> None:
    np.testing.assert_allclose(combined([np.array([0.9, 0.1]), np.array([0.3, 0.7])]), [0.6, 0.4])


def test_each_object_counts_once_and_the_gain_is_paired() -> None:
    # a: 0.9, 0.4, 0.4 → one of three right, the mean 0.567 right; b: both right; c: single; d: two classes
    first = np.array([0.9, 0.4, 0.4, 0.2, 0.1, 0.9, 0.9, 0.1])
    probabilities = np.column_stack([first, 1 - first])
    targets = np.array([0, 0, 0, 1, 1, 0, 0, 1])
    objects = ["a", "a", "a", "b", "b", "c", "d", "d"]
    found = object_scores(probabilities, targets, objects, objects, resamples=200, seed=0)
    assert (found.objects, found.images, found.mixed) == (2, 5, ("d",))
    gain = found.gains["accuracy"]
    assert gain.single == pytest.approx((1 / 3 + 1) / 2)
    assert gain.combined == 1.0
    assert gain.difference == pytest.approx(1 / 3)
    # resamples of both objects: a alone gains 2/3, b alone nothing
    assert (gain.interval.low, gain.interval.high) == pytest.approx((0.0, 2 / 3))


def test_without_several_photographs_of_an_object_nothing_is_combined() -> None:
    found = object_scores(np.eye(3), np.arange(3), ["a", "b", "c"], ["a", "b", "c"], resamples=10, seed=0)
    assert (found.objects, found.mixed, found.gains) == (0, (), {})


def test_groups_of_several_objects_are_drawn_together() -> None:
    first = np.tile([0.9, 0.4], 20)
    probabilities = np.column_stack([first, 1 - first])
    objects = [str(k // 2) for k in range(40)]
    whole = object_scores(probabilities, np.zeros(40, int), objects, ["one"] * 40, resamples=50, seed=0)
    assert whole.gains["accuracy"].single == pytest.approx(0.5)
    assert whole.gains["accuracy"].interval.low == whole.gains["accuracy"].interval.high == pytest.approx(0.5)
