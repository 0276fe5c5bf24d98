"""Pictures that the server shows by itself: examples to click, and the museum objects of its data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from heritage.core.image_io import Pixels, decode, encode_jpeg
from heritage.core.manifest import Manifest
from heritage.core.taxonomy import CLASSES
from heritage.demo import draw_artefact
from heritage.errors import ImageError

_EXAMPLE, _THUMBNAIL = 512, 256  # pixels of the longer side


@dataclass(frozen=True)
class ExampleImages:
    """Pictures by number: no name that a stranger gives ever becomes a path.

    Attributes:
        manifest: Of the data set (all splits), where it is there.
        examples: JPEGs.
    """

    manifest: Manifest | None
    examples: tuple[bytes, ...]

    def thumbnail(self, row: int) -> bytes | None:
        """Return a small JPEG of a row of the manifest; None where there is none."""
        if self.manifest is None or not 0 <= row < len(self.manifest):
            return None
        return _small(self.manifest, row, _THUMBNAIL)


def find_exhibits(manifest: Manifest | None, classes: Sequence[str]) -> ExampleImages:
    """Choose a photograph of each class that the network was tested on; draw them where there is none."""
    if manifest is None:
        known = [name for name in classes if name in CLASSES] or list(CLASSES)
        drawn = [draw_artefact(name, 3, 0, size=256, seed=7) for name in known]
        return ExampleImages(None, tuple(encode_jpeg(pixels) for pixels in drawn))
    test = np.array(manifest.column("split")) == "test"
    found = []
    for k in range(len(manifest.classes)):
        rows = np.flatnonzero(test & (manifest.targets == k))
        # from the middle: the first ones of a museum's list are often alike
        for row in rows[len(rows) // 2 :][:5]:
            picture = _small(manifest, int(row), _EXAMPLE)
            if picture is not None:
                found.append(picture)
                break
    return ExampleImages(manifest, tuple(found))


def _small(manifest: Manifest, row: int, side: int) -> bytes | None:
    path = manifest.root / manifest.table["file"][row].as_py()
    try:
        return encode_jpeg(_fit(decode(path.read_bytes(), name=path, at_least=side), side), quality=85)
    except (ImageError, OSError):
        return None


def _fit(pixels: Pixels, side: int) -> Pixels:
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return pixels
    shape = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(pixels, shape, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
