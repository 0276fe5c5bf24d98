"""The images of a manifest as views of memory-mapped files, where the data set was packed."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from heritage.core.image_io import Pixels
from heritage.core.manifest import DATASET_FILE, Manifest
from heritage.core.packed_images import INDEX_FILE, PackedImages
from heritage.data.staging import stage
from heritage.errors import ConfigError, DataError, DatasetNotFoundError

log = logging.getLogger(__name__)

FOLDER = "packed"
Packed = Literal["auto"] | bool
"""Whether to read packed images: where they fit, always, or never."""


class PackedRows:
    """Images of a packed set in the order of a manifest."""

    def __init__(self, images: PackedImages, rows: npt.NDArray[np.int64]) -> None:
        self._images = images
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def take(self, rows: npt.NDArray[np.int64]) -> PackedRows:
        """Return the images of these rows, in this order."""
        return PackedRows(self._images, self._rows[rows])

    def verify(self) -> None:
        """Compare the checksums of all packed files.

        Raises:
            ImageError: One is not what was written.
        """
        self._images.verify()

    def read(self, row: int) -> Pixels:
        """Return the image of a row: a read-only view, nothing is decoded or copied."""
        return self._images.read(int(self._rows[row]))


def open_packed(manifest: Manifest, wanted: Packed, staged: str | None = None) -> PackedRows | None:
    """Return a data set's packed images in the manifest's order, or None where files are to be read.

    Args:
        manifest: Images of a data-set folder, all of them or some.
        wanted: ``auto`` takes packed images that were made from this very data set.
        staged: A folder on a disk of this machine, to copy them to and read them from.

    Raises:
        DatasetNotFoundError: They are wanted and there are none.
        DataError: They are damaged, or wanted and made from another data set; the disk they are to be
            copied to is too small.
    """
    folder = manifest.root / FOLDER
    if staged is not None:
        if wanted is False:
            raise ConfigError(
                "only packed images are copied", where="data.stage", remedy="leave data.packed=auto"
            )
        wanted = True
    if wanted is False or (wanted == "auto" and not (folder / INDEX_FILE).is_file()):
        return None
    images = PackedImages.open(folder)
    if images.fingerprint != _fingerprint(manifest.root):
        if wanted == "auto":
            log.warning("%s was made from another state of the data set: images are decoded instead", folder)
            return None
        raise DataError(
            "made from another data set", where=folder, remedy="run `heritage curate pack=true` again"
        )
    if staged is not None:
        images = PackedImages.open(stage(folder, Path(staged)))
    return PackedRows(images, images.rows_of(manifest.column("image_id")))


def _fingerprint(root: Path) -> str:
    path = root / DATASET_FILE
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["fingerprint"])
    except (OSError, ValueError, KeyError) as error:
        raise DatasetNotFoundError(
            f"unreadable: {type(error).__name__}: {error}", where=path, remedy="curate it again"
        ) from error
