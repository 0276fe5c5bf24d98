"""The example images to click on, which the server shows itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from heritage.core.image_io import encode_jpeg
from heritage.core.manifest import Manifest
from heritage.core.taxonomy import CLASSES
from heritage.demo import draw_artefact
from heritage.server.similar import SimilarObjects
from heritage.server.similar_index import small_image

_EXAMPLE = 512  # pixels of the longer side
_TRIES = 5  # unreadable files of a class that are skipped


@dataclass(frozen=True)
class ExampleImages:
    """Images addressed by number, so that user input never becomes a path.

    Attributes:
        examples: Example images as JPEG files.
        drawn: Whether they are drawings, not photographs.
    """

    examples: tuple[bytes, ...]
    drawn: bool = False


def choose_examples(
    manifest: Manifest | None, similar: SimilarObjects | None, classes: Sequence[str]
) -> ExampleImages:
    """Choose one image per class: of the test split, else of the index; without both, draw artefacts.

    Args:
        manifest: The data set, if it is available.
        similar: The index of similar objects, if there is one.
        classes: The class list.
    """
    if manifest is not None:
        return ExampleImages(_of_the_test_split(manifest), drawn=manifest.drawn > 0)
    if similar is not None:
        labels = similar.table["label"].to_pylist()
        rows = [[row for row, label in enumerate(labels) if label == name] for name in classes]
        found = [similar.thumbnail(of_class[len(of_class) // 2]) for of_class in rows if of_class]
        return ExampleImages(tuple(filter(None, found)))
    drawn = [draw_artefact(name, 3, 0, size=256, seed=7) for name in classes if name in CLASSES]
    return ExampleImages(tuple(encode_jpeg(pixels) for pixels in drawn), drawn=True)


def _of_the_test_split(manifest: Manifest) -> tuple[bytes, ...]:
    test = np.array(manifest.column("split")) == "test"
    examples = []
    for k in range(len(manifest.classes)):
        rows = np.flatnonzero(test & (manifest.targets == k))
        # from the middle: the first rows of a museum are often similar
        for row in rows[len(rows) // 2 :][:_TRIES]:
            jpeg = small_image(manifest, int(row), _EXAMPLE)
            if jpeg is not None:
                examples.append(jpeg)
                break
    return tuple(examples)
