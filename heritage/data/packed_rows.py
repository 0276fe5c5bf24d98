"""Read the images of a manifest from a packed data set."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from heritage.core.image_io import Pixels
from heritage.core.json_files import read_json_file
from heritage.core.manifest import DATASET_FILE, DatasetRecord, Manifest
from heritage.core.packed_images import INDEX_FILE, PackedImages
from heritage.data.staging import stage
from heritage.errors import ConfigError, DataError, DatasetNotFoundError

log = logging.getLogger(__name__)

FOLDER = "packed"
Packed = Literal["auto"] | bool
"""Whether to read packed images: if they belong to the data set, always, or never."""


class PackedRows:
    """Packed images in the order of a manifest.

    Args:
        images: The packed images.
        rows: The position of each row of the manifest in them, shape (N,).
    """

    def __init__(self, images: PackedImages, rows: npt.NDArray[np.int64]) -> None:
        self._images = images
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def side(self) -> int:
        """Pixels per side of the packed images."""
        return self._images.side

    def take(self, rows: npt.NDArray[np.int64]) -> PackedRows:
        """Return the images of these rows, in this order."""
        return PackedRows(self._images, self._rows[rows])

    def verify(self) -> None:
        """Compare the checksums of all shards.

        Raises:
            ImageError: A shard is damaged.
        """
        self._images.verify()

    def read(self, row: int) -> Pixels:
        """Return an image as a read-only view."""
        return self._images.read(int(self._rows[row]))


def open_packed(manifest: Manifest, mode: Packed, stage_folder: str | None = None) -> PackedRows | None:
    """Open the packed images of a data set.

    Args:
        manifest: Images of a data-set folder, all of them or a selection.
        mode: ``auto`` opens packed images that were made from this data set; true requires them.
        stage_folder: A folder on a local disk to copy them to and read them from; it requires them, too.

    Returns:
        The images in the manifest's order; None if image files are to be decoded.

    Raises:
        ConfigError: Images are to be staged but not read packed.
        DatasetNotFoundError: They are required and missing.
        DataError: They are damaged, or required and made from another data set; or the local disk is too
            small.
    """
    folder = manifest.root / FOLDER
    if stage_folder is not None:
        if mode is False:
            raise ConfigError(
                "only packed images can be staged", where="data.stage", remedy="leave data.packed=auto"
            )
        mode = True
    if mode is False or (mode == "auto" and not (folder / INDEX_FILE).is_file()):
        return None
    images = PackedImages.open(folder)
    if images.fingerprint != _fingerprint(manifest.root):
        if mode == "auto":
            log.warning(
                "%s was made from another version of the data set: decoding image files instead", folder
            )
            return None
        raise DataError(
            "made from another data set", where=folder, remedy="run `heritage curate pack=true` again"
        )
    if stage_folder is not None:
        images = PackedImages.open(stage(folder, Path(stage_folder)))
    return PackedRows(images, images.rows_of(manifest.column("image_id")))


def _fingerprint(root: Path) -> str:
    path = root / DATASET_FILE
    try:
        return str(read_json_file(path, DatasetRecord).get("fingerprint", ""))
    except (OSError, ValueError) as error:
        raise DatasetNotFoundError(f"unreadable: {error}", where=path, remedy="curate it again") from error
