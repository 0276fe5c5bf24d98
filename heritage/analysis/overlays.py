"""A map laid over its picture."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import numpy.typing as npt

from heritage.picture import Pixels

_COLOURS = (np.asarray(mpl.colormaps["inferno"](np.arange(256)))[:, :3] * 255).astype(np.float64)


def overlay(picture: Pixels, saliency: npt.NDArray[np.floating]) -> Pixels:
    """Colour the places that speak for a class, and grey the others.

    The brightest hundredth of a map is drawn alike, or a single pixel would leave the rest in the dark.

    Args:
        picture: RGB, (S, S, 3).
        saliency: From 0 to 1, (S, S).

    Returns:
        RGB, (S, S, 3): the picture in grey, the more coloured the more a place matters.
    """
    top = max(float(np.quantile(saliency, 0.99)), 1e-6)
    saliency = np.clip(saliency / top, 0, 1)
    grey = picture @ np.array([0.299, 0.587, 0.114])
    base = np.repeat(grey[:, :, None], 3, axis=2) * 0.75 + 40
    colour = _COLOURS[np.clip(saliency * 255, 0, 255).astype(np.int64)]
    share = (0.12 + 0.6 * np.clip(saliency, 0, 1))[:, :, None]
    mixed: Pixels = np.clip(base * (1 - share) + colour * share, 0, 255).astype(np.uint8)
    return mixed
