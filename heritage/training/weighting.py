"""How much each class counts in the loss: the weighting axis of `balance`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from heritage.errors import ConfigError
from heritage.taxonomy import nearest

Counts = Mapping[str, int]
Weights = npt.NDArray[np.float64]
Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def none(counts: Counts) -> None:
    """Every image counts alike."""


def inverse(counts: Counts) -> Weights:
    """Weight each class by n / (K · n_c): scikit-learn's "balanced", and the thesis's.

    Args:
        counts: Images of each of the K classes that an epoch shows.

    Returns:
        Weights of shape (K,); their mean over images is 1.
    """
    numbers = np.array(list(counts.values()), dtype=np.float64)
    if (numbers == 0).any():
        empty = [name for name, count in counts.items() if not count]
        raise ConfigError(f"no image of {', '.join(empty)} to weigh", where="balance.weighting")
    weights: Weights = numbers.sum() / (len(numbers) * numbers)
    return weights


def by_hand(counts: Counts, *, weights: dict[str, Weight]) -> Weights:
    """Take weights that a person chose; classes that are not named get 1.

    Raises:
        ConfigError: A class that the data set does not have.
    """
    _require_known(weights, list(counts))
    return np.array([weights.get(name, 1.0) for name in counts], dtype=np.float64)


def _require_known(weights: Mapping[str, float], classes: Sequence[str]) -> None:
    for name in weights:
        if name not in classes:
            near = nearest(name, classes)
            raise ConfigError(
                f"unknown class '{name}'",
                where="balance.weighting.weights",
                remedy=f"did you mean '{near}'?" if near else f"choose from {', '.join(classes)}",
            )
