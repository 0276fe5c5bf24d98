"""Where a network looked, found by hiding parts of the picture one after the other.

Where a grey square lowers the first class's probability, what it hides spoke for that class (Zeiler and
Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014). It needs no gradients and no
knowledge of the network, and says what a person takes it to say.
"""

from __future__ import annotations

import base64

import cv2
import numpy as np
import numpy.typing as npt
import torch

from heritage.picture import Pixels
from heritage.serving.answerer import Classifies

GRID = 8
"""Squares a side; each is twice as wide as its place, so that neighbours overlap."""

_FLOOR = 0.02  # of probability: smaller drops are noise and are not stretched to full colour


def occlusion_map(
    network: Classifies, pixels: Pixels, label: int, probability: float
) -> npt.NDArray[np.float64]:
    """Return how much the probability of a class falls where a part is hidden.

    Args:
        network: Asked `GRID`² times, in one batch.
        pixels: The picture as the network sees it, (S, S, 3).
        label: The class.
        probability: Its probability with nothing hidden.

    Returns:
        Shape (GRID, GRID), in [0, 1]: 1 where the fall is largest, if it is worth speaking of.
    """
    side = pixels.shape[0]
    edges = np.linspace(0, side, GRID + 1)
    reach = side / GRID / 2
    grey = pixels.reshape(-1, 3).mean(axis=0).round().astype(np.uint8)
    hidden = np.repeat(pixels[None], GRID * GRID, axis=0)
    for row in range(GRID):
        for column in range(GRID):
            top, left = (max(0, round(edges[k] - reach)) for k in (row, column))
            bottom, right = (min(side, round(edges[k + 1] + reach)) for k in (row, column))
            hidden[row * GRID + column, top:bottom, left:right] = grey
    falls = probability - network.ask(torch.from_numpy(hidden)).probabilities[:, label]
    found: npt.NDArray[np.float64] = np.clip(falls, 0, None).reshape(GRID, GRID)
    return found / max(float(found.max()), _FLOOR)


def as_data_url(strength: npt.NDArray[np.float64], side: int = 256) -> str:
    """Encode a map as a transparent PNG: the stronger, the more opaque and the warmer; a ``data:`` URL."""
    smooth = cv2.resize(strength.astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    colour = cv2.applyColorMap((smooth * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    opaque = (np.sqrt(smooth) * 200).astype(np.uint8)
    done, png = cv2.imencode(".png", np.dstack([colour, opaque]))
    if not done:
        raise RuntimeError("OpenCV cannot write a PNG")
    return "data:image/png;base64," + base64.b64encode(png.tobytes()).decode()
