"""The images that the server shows itself: examples to click on, and thumbnails of museum objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from heritage.core.bounded_read import read_bounded
from heritage.core.image_io import Pixels, decode, encode_jpeg
from heritage.core.manifest import Manifest
from heritage.core.taxonomy import CLASSES
from heritage.demo import draw_artefact
from heritage.errors import ImageError

_EXAMPLE, _THUMBNAIL = 512, 256  # pixels of the longer side
_TRIES = 5  # unreadable files of a class that are skipped


@dataclass(frozen=True)
class ExampleImages:
    """Images addressed by number, so that user input never becomes a path.

    Attributes:
        manifest: The data set (all splits), if it is available.
        examples: Example images as JPEG files.
    """

    manifest: Manifest | None
    examples: tuple[bytes, ...]

    @property
    def drawn(self) -> bool:
        """Whether the examples are drawings, not photographs."""
        return self.manifest is None or self.manifest.drawn > 0

    def thumbnail(self, row: int) -> bytes | None:
        """Return a JPEG thumbnail of a row of the manifest; None if there is none."""
        if self.manifest is None or not 0 <= row < len(self.manifest):
            return None
        return _read_small(self.manifest, row, _THUMBNAIL)


def choose_examples(manifest: Manifest | None, classes: Sequence[str]) -> ExampleImages:
    """Choose one test image per class; without a data set, draw artefacts instead.

    Args:
        manifest: The data set, if it is available.
        classes: The class list.
    """
    if manifest is None:
        drawable = [name for name in classes if name in CLASSES] or list(CLASSES)
        drawn = [draw_artefact(name, 3, 0, size=256, seed=7) for name in drawable]
        return ExampleImages(None, tuple(encode_jpeg(pixels) for pixels in drawn))
    test = np.array(manifest.column("split")) == "test"
    examples = []
    for k in range(len(manifest.classes)):
        rows = np.flatnonzero(test & (manifest.targets == k))
        # from the middle: the first rows of a museum are often similar
        for row in rows[len(rows) // 2 :][:_TRIES]:
            jpeg = _read_small(manifest, int(row), _EXAMPLE)
            if jpeg is not None:
                examples.append(jpeg)
                break
    return ExampleImages(manifest, tuple(examples))


def _read_small(manifest: Manifest, row: int, side: int) -> bytes | None:
    path = manifest.root / manifest.table["file"][row].as_py()
    try:
        return encode_jpeg(_shrink(decode(read_bounded(path), name=path, at_least=side), side), quality=85)
    except (ImageError, OSError):
        return None


def _shrink(pixels: Pixels, side: int) -> Pixels:
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return pixels
    shape = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(pixels, shape, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
