"""Class weights against scikit-learn and the thesis's numbers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from heritage.core.taxonomy import CLASSES
from heritage.errors import ConfigError
from heritage.training.weighting import by_hand, effective_number, inverse

THESIS_COUNTS = dict(zip(CLASSES, (31657, 37306, 48804, 13245, 5917, 23970), strict=True))
THESIS_WEIGHTS = (
    0.8470954291309979, 0.7188253900176915, 0.549473403819359,
    2.024650811627029, 4.532110866993409, 1.118752607425949,
)  # fmt: skip


def test_inverse_weights_of_the_thesis_counts() -> None:
    assert inverse(THESIS_COUNTS) == pytest.approx(THESIS_WEIGHTS, abs=1e-12, rel=0)


def test_inverse_equals_scikit_learns_balanced() -> None:
    counts = {"a": 3, "b": 11, "c": 6}
    labels = np.repeat(list(counts), list(counts.values()))
    expected = compute_class_weight("balanced", classes=np.array(list(counts)), y=labels)
    assert inverse(counts) == pytest.approx(expected, abs=1e-12)


def test_effective_number_follows_its_equation() -> None:
    # Cui et al. 2019: E_n = 1 + β + … + β^(n−1)
    counts = {"a": 4, "b": 37, "c": 900}
    for beta in (0.9, 0.999):
        effective = np.array([sum(beta**k for k in range(n)) for n in counts.values()])
        expected = 3 * (1 / effective) / (1 / effective).sum()
        assert effective_number(counts, beta=beta) == pytest.approx(expected, rel=1e-9)


def test_effective_number_is_between_equal_and_inverse() -> None:
    assert effective_number(THESIS_COUNTS, beta=0.0) == pytest.approx(np.ones(6))
    extreme = effective_number(THESIS_COUNTS, beta=1 - 1e-9)
    expected = inverse(THESIS_COUNTS)
    assert extreme == pytest.approx(6 * expected / expected.sum(), rel=1e-3)


@pytest.mark.parametrize("weigh", [inverse, partial(effective_number, beta=0.99)])
def test_a_class_without_images_is_refused(weigh: Callable[[dict[str, int]], object]) -> None:
    with pytest.raises(ConfigError, match="no image of b"):
        weigh({"a": 3, "b": 0})


def test_weights_by_hand() -> None:
    assert by_hand({"a": 5, "b": 7}, weights={"b": 2.5}).tolist() == [1.0, 2.5]
    with pytest.raises(ConfigError, match="did you mean 'byzantium'"):
        by_hand(dict.fromkeys(CLASSES, 1), weights={"bizantium": 2.0})
