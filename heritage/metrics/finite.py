"""Outputs that are no numbers: they never become a prediction, in any command.

A network whose weights are finite can still compute infinite values or NaN for some images, for example in
half precision. `numpy.argmax` would name a class for them. Every reader of outputs checks `finite_rows`
first, and reports `NO_PREDICTION` where a row is not finite.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from heritage.core.numbers import counted

NO_PREDICTION = "no prediction: the network's output for this image is not finite"
"""The reason in tables, responses and reports."""
DIVERGED_REMEDY = "lower optimizer.lr, set trainer.gradient_clip_val=1 or trainer.precision=32-true"
"""What helps against a training that diverges."""


def not_finite_note(count: int, images: int) -> str:
    """Return the note on images for which the output is not finite.

    Example:
        >>> not_finite_note(3, 1200)
        "no prediction for 3 of 1,200 images: the network's output is not finite; metrics leave them out"
    """
    reason = "the network's output is not finite; metrics leave them out"
    return f"no prediction for {count:,} of {counted(images, 'image')}: {reason}"


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
