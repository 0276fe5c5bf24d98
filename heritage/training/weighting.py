"""Class weights of the loss: the ``weighting`` axis of ``balance``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from heritage.core.taxonomy import suggestion
from heritage.errors import ConfigError

Counts = Mapping[str, int]
Weights = npt.NDArray[np.float64]
Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Beta = Annotated[float, Field(ge=0, lt=1)]


def no_weighting(counts: Counts) -> None:
    """Weight all images equally."""


def inverse(counts: Counts) -> Weights:
    """Weight each class by n / (K · n_c): scikit-learn's "balanced", used by the thesis.

    Args:
        counts: Images of each of the K classes in an epoch, after sampling.

    Returns:
        Weights of shape (K,); their mean over images is 1.
    """
    numbers = _numbers(counts)
    weights: Weights = numbers.sum() / (len(numbers) * numbers)
    return weights


def effective_number(counts: Counts, *, beta: Beta) -> Weights:
    """Weight each class by the inverse of its effective number of images, E_n = (1 − β^n) / (1 − β).

    Additional images of a large class add little (Cui et al. 2019, equation 2 and section 3.3). β = 0
    weights all classes equally, β → 1 inversely to their counts.

    Args:
        counts: Images of each of the K classes in an epoch, after sampling.
        beta: β; the paper compares 0.9, 0.99, 0.999 and 0.9999.

    Returns:
        Weights of shape (K,) that sum to K.
    """
    numbers = _numbers(counts)
    # 1 − β^n without cancellation where β^n is close to 1
    effective = -np.expm1(numbers * np.log(beta)) / (1 - beta) if beta > 0 else np.ones_like(numbers)
    weights: Weights = len(numbers) * (1 / effective) / (1 / effective).sum()
    return weights


def by_hand(counts: Counts, *, weights: dict[str, Weight]) -> Weights:
    """Use the given weights.

    Args:
        counts: Images by class; only the class names are used.
        weights: Weights by class; classes left out get 1.

    Returns:
        Weights of shape (K,).

    Raises:
        ConfigError: The data set does not have one of the classes.
    """
    _require_known(weights, list(counts))
    return np.array([weights.get(name, 1.0) for name in counts], dtype=np.float64)


def _numbers(counts: Counts) -> npt.NDArray[np.float64]:
    if empty := [name for name, count in counts.items() if not count]:
        raise ConfigError(
            f"no image of {', '.join(empty)} to weigh",
            where="balance.weighting",
            remedy="leave the class out of data.classes, or choose balance/weighting=none",
        )
    return np.array(list(counts.values()), dtype=np.float64)


def _require_known(weights: Mapping[str, float], classes: Sequence[str]) -> None:
    for name in weights:
        if name not in classes:
            raise ConfigError(
                f"unknown class '{name}'",
                where="balance.weighting.weights",
                remedy=suggestion(name, classes),
            )
