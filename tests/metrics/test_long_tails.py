"""The table of accuracies from forward to backward long tails."""

from __future__ import annotations

import numpy as np
import pytest

from heritage.metrics.calibration import softmax
from heritage.metrics.long_tails import long_tails, tail_priors
from tests.metrics.test_prior import log_posterior, sample


def test_shares_fall_from_the_most_frequent_class_by_the_ratio() -> None:
    priors = tail_priors(np.array([0.2, 0.5, 0.3]), [4, 25])
    assert list(priors) == ["forward25", "forward4", "uniform", "backward4", "backward25"]
    np.testing.assert_allclose(priors["forward4"], np.array([1, 4, 2]) / 7)
    np.testing.assert_allclose(priors["backward4"], np.array([4, 1, 2]) / 7)
    np.testing.assert_allclose(priors["uniform"], 1 / 3)


def test_accuracies_are_those_of_test_sets_drawn_by_each_prior() -> None:
    source = [0.6, 0.3, 0.1]
    points, targets = sample(source, 6000, 0)
    probabilities = softmax(log_posterior(points, source))
    groups = [str(number // 2) for number in range(len(targets))]
    rows = long_tails(
        probabilities, probabilities, targets, groups, np.array(source), ratios=[50], resamples=100
    )
    by_name = {row.name: row for row in rows}
    for name, row in by_name.items():
        drawn, labels = sample(row.shares.tolist(), 20_000, 1)
        plain = (log_posterior(drawn, source).argmax(axis=1) == labels).mean()
        known = (log_posterior(drawn, row.shares.tolist()).argmax(axis=1) == labels).mean()
        assert row.plain.value == pytest.approx(plain, abs=0.03), name
        assert row.known.value == pytest.approx(known, abs=0.03), name
        assert row.estimated.value == pytest.approx(known, abs=0.04), name
        assert row.plain.interval.low < row.plain.value < row.plain.interval.high
    backward = by_name["backward50"]
    assert backward.known.interval.low > backward.plain.interval.high
    assert backward.record("abc")["known"]["accuracy"] == backward.known.value


def test_a_class_without_test_images_is_left_out_of_the_mean() -> None:
    targets = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.8, 0.1, 0.1]] * 2 + [[0.1, 0.8, 0.1]] * 2)
    rows = long_tails(
        probabilities, probabilities, targets, list("abcd"), np.full(3, 1 / 3), ratios=[2], resamples=10
    )
    assert [row.plain.value for row in rows] == [1.0, 1.0, 1.0]
