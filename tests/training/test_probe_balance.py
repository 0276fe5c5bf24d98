"""Balancing of a probe: weights of images and the shift of the logits, from the axes of ``balance``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import heritage
from heritage.errors import ConfigError
from heritage.training.probe_balance import ProbeBalance

CLASSES = ("a", "b", "c")
TARGETS = np.repeat([0, 1, 2], [60, 30, 10])


def balance(*words: str, head: str = "logistic") -> ProbeBalance:
    cfg: Any = heritage.compose("train", list(words))
    return ProbeBalance(cfg.balance, head, CLASSES, seed=0)


def by_class(weights: np.ndarray[Any, Any]) -> list[float]:
    """Return the weight that all images of each class have."""
    for k in range(3):
        assert np.ptp(weights[k == TARGETS]) == 0
    return [float(weights[k == TARGETS][0]) for k in range(3)]


def test_without_balancing_all_images_count_the_same() -> None:
    one = balance("balance=none").of(TARGETS)
    assert by_class(one.weights) == [1, 1, 1]
    assert not one.shift.any()


def test_class_weights_are_those_of_the_counts() -> None:
    one = balance("balance=weights").of(TARGETS)
    np.testing.assert_allclose(by_class(one.weights), [100 / 180, 100 / 90, 100 / 30])
    one = balance("balance=effective_number", "balance.weighting.beta=0.9").of(TARGETS)
    effective = (1 - 0.9 ** np.array([60.0, 30, 10])) / 0.1
    np.testing.assert_allclose(by_class(one.weights), 3 / effective / (1 / effective).sum())
    one = balance("balance/weighting=by_hand", "balance.weighting.weights={b: 4.0}").of(TARGETS)
    assert by_class(one.weights) == [1, 4, 1]


def test_samplings_count_by_what_they_do_on_average() -> None:
    sampler = by_class(balance("balance=sampler").of(TARGETS).weights)
    np.testing.assert_allclose(np.array(sampler) / sampler[0], [1, 2, 6])  # as balance=weights
    root = by_class(balance("balance=sampler", "balance.sampling.power=0.5").of(TARGETS).weights)
    np.testing.assert_allclose(np.array(root) / root[0], np.sqrt([1, 2, 6]))
    assert by_class(balance("balance=oversample").of(TARGETS).weights) == [1, 2, 6]
    some = balance("balance=oversample", "balance.sampling.classes=[c]").of(TARGETS)
    assert by_class(some.weights) == [1, 1, 6]


def test_undersampling_draws_images_once() -> None:
    one = balance("balance=undersample")
    weights = one.of(TARGETS).weights
    assert set(weights) == {0, 1}
    assert np.bincount(TARGETS, weights).tolist() == [10, 10, 10]
    np.testing.assert_array_equal(weights, one.of(TARGETS).weights)


def test_adjusted_losses_shift_by_the_frequencies() -> None:
    one = balance("balance=balanced_softmax").of(TARGETS)
    np.testing.assert_allclose(one.shift, np.log([0.6, 0.3, 0.1]), atol=1e-6)
    one = balance("balance=logit_adjusted", "balance.loss.tau=2.0").of(TARGETS)
    np.testing.assert_allclose(one.shift, 2 * np.log([0.6, 0.3, 0.1]), atol=1e-6)


def test_counts_are_those_of_the_fold() -> None:
    fold = TARGETS[TARGETS != 2]  # a fold without an image of c
    for word in ("weights", "undersample", "oversample", "sampler", "effective_number", "balanced_softmax"):
        one = balance(f"balance={word}").of(fold)
        assert np.isfinite(one.weights).all()
        assert np.isfinite(one.shift).all()
        if word == "undersample":
            assert np.bincount(fold, one.weights).tolist() == [30, 30]


REFUSED = {
    "balance=focal": ("logistic", "balance/loss cannot"),
    "balance=progressive": ("knn", "balance/sampling cannot"),
    "balance=ldam_drw": ("logistic", "balance/loss, balance/schedule cannot"),
    "balance=balanced_softmax": ("ridge", "balance/loss cannot"),
    "balance=weights": ("prototypes", "balance/weighting cannot"),
    "balance=oversample": ("prototypes", "balance/sampling cannot"),
}


@pytest.mark.parametrize("word", REFUSED)
def test_a_balance_that_a_head_has_no_use_for_is_refused(word: str) -> None:
    head, message = REFUSED[word]
    with pytest.raises(ConfigError, match=message) as error:
        balance(word, head=head)
    assert f"finetune.head={head}" in str(error.value)
    with pytest.raises(ConfigError, match="unknown class 'x'"):
        balance("balance/weighting=by_hand", "balance.weighting.weights={x: 4.0}")
