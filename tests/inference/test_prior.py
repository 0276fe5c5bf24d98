"""Shares as users write them."""

from __future__ import annotations

import numpy as np
import pytest

from heritage.errors import ConfigError
from heritage.inference.prior import prior_shares, read_prior, require_validation, shares_text
from heritage.metrics.calibration import Calibration, FittedOn
from heritage.runs.validation_outputs import ValidationOutputs

ABC = ("a", "b", "c")


def outputs(counts: tuple[int, ...] = (6, 3, 1)) -> ValidationOutputs:
    targets = np.repeat(np.arange(len(counts)), counts)
    calibration = Calibration(1.0, None, 0.9, FittedOn("val", len(targets), "x"), 0.1, 0.1)
    return ValidationOutputs(
        np.zeros((len(targets), 3), np.float32), targets, [str(k) for k in targets], ABC, calibration
    )


@pytest.mark.parametrize(
    ("given", "right"),
    [
        ("uniform", [1 / 3, 1 / 3, 1 / 3]),
        ({"a": 0.2, "b": 0.3, "c": 0.5}, [0.2, 0.3, 0.5]),
        ({"a": 20, "b": 30, "c": 50}, [0.2, 0.3, 0.5]),
        ({"a": 0.33, "b": 0.33, "c": 0.34}, [0.33, 0.33, 0.34]),
        ({"a": 33.3, "b": 33.3, "c": 33.3}, [1 / 3, 1 / 3, 1 / 3]),
        ({"c": 0.8}, [0.2 * 6 / 9, 0.2 * 3 / 9, 0.8]),
        ({"c": 80}, [0.2 * 6 / 9, 0.2 * 3 / 9, 0.8]),
        ({"c": np.float32(80)}, [0.2 * 6 / 9, 0.2 * 3 / 9, 0.8]),
        ({"c": np.int64(80), "b": 0.5}, [0.195, 0.005, 0.8]),
    ],
)
def test_shares_of_one_and_percent(given: object, right: list[float]) -> None:
    np.testing.assert_allclose(prior_shares(read_prior(given, ABC), outputs()), right)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"a": 1, "b": 2, "c": 3}, "sum to 6, not to 1 or 100"),
        ({"a": 0.2, "b": 0.2, "c": 0.2}, "sum to 0.6"),
        ({"a": 0.5, "b": 0.5}, "nothing is left for c"),
        ({"a": 60, "b": 40}, "nothing is left for c"),
        ({"a": 0.5, "b": 0.5, "d": 0.1}, "no class 'd'"),
        ({"a": True}, "not a number above 0"),
        ({"a": float("inf")}, "not a number above 0"),
        ({"a": 1e-320}, "not a number above 0"),
        ({"a": "80%"}, "'80%', not a number"),
        ({"a": 0.8, "b": 0.7}, "sum to 1.5, more than 1"),
        ({}, "names no class"),
        (["a"], "names no class"),
        (0.5, "names no class"),
        ("estimate", "needs all images"),
    ],
)
def test_what_is_no_prior_is_refused(given: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_prior(given, ABC)


def test_a_class_without_validation_images_has_no_known_prior() -> None:
    with pytest.raises(ConfigError, match="no validation image of c"):
        require_validation(outputs((5, 5)), "uniform")
    assert shares_text(np.array([0.1, 0.7, 0.2]), ABC) == "b 70.0 %, c 20.0 %, a 10.0 %"


def test_a_whole_number_of_hundreds_of_digits_is_no_share() -> None:
    with pytest.raises(ConfigError, match="more than 100"):
        read_prior({"a": 10**400}, ABC)
