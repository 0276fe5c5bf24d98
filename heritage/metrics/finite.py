"""Outputs that are no numbers: they never become a prediction, in any command.

A network whose weights are finite can still compute infinite values or NaN for some images, for example in
half precision. `numpy.argmax` would name a class for them. Every reader of outputs checks `finite_rows`
first, and reports `NO_PREDICTION` where a row is not finite.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

NO_PREDICTION = "no prediction: the network's output for this image is not finite"
"""The reason in tables, responses and reports."""


def finite_rows(values: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.bool_]:
    """Return for each row whether all its values are finite.

    Args:
        values: Logits, probabilities or features, (N, D).

    Returns:
        Shape (N,); True for an empty row.

    Example:
        >>> finite_rows(np.array([[0.0, 1.0], [np.nan, 1.0], [np.inf, 1.0]])).tolist()
        [True, False, False]
    """
    finite: npt.NDArray[np.bool_] = np.isfinite(values).all(axis=1)
    return finite
