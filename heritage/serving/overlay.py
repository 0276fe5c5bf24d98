"""A saliency map as a picture to be laid over the photograph."""

from __future__ import annotations

import base64
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt


def as_data_url(strength: npt.NDArray[np.floating[Any]], side: int = 256) -> str:
    """Encode a map as a transparent PNG: the stronger, the more opaque and the warmer; a ``data:`` URL."""
    smooth = cv2.resize(strength.astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    colour = cv2.applyColorMap((smooth * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    opaque = (np.sqrt(smooth) * 200).astype(np.uint8)
    done, png = cv2.imencode(".png", np.dstack([colour, opaque]))
    if not done:
        raise RuntimeError("OpenCV cannot write a PNG")
    return "data:image/png;base64," + base64.b64encode(png.tobytes()).decode()
