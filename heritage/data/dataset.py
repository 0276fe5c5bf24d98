"""Images of a manifest as a map-style dataset that fetches whole batches.

Workers get a `BatchPlan` and return a `Batch` of uint8 pixels in one buffer: no float image crosses a
process boundary, and no list of images is ever collated.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch.utils.data import Dataset, get_worker_info

from heritage.core.image_io import Pixels, decode
from heritage.core.manifest import Manifest
from heritage.data.augment import Augmentation, Interpolation, Pipeline, downscale, eval_transform
from heritage.data.batch import Batch, BatchPlan
from heritage.data.packed_rows import PackedRows
from heritage.errors import ImageError

log = logging.getLogger(__name__)


class ImageFiles:
    """The images of a manifest, read from their files.

    Names are held in Arrow buffers: lists of strings would be copied page by page into every worker,
    as their reference counts change.
    """

    def __init__(self, manifest: Manifest, at_least: int) -> None:
        self._root = manifest.root
        self._files: pa.StringArray = manifest.table["file"].combine_chunks()
        self._at_least = at_least

    def __len__(self) -> int:
        return len(self._files)

    def path(self, row: int) -> Path:
        """Return the file of a row."""
        name: str = self._files[row].as_py()
        return self._root / name

    def read(self, row: int) -> Pixels:
        """Decode the image of a row.

        Raises:
            ImageError: It is missing or damaged.
        """
        path = self.path(row)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ImageError(
                error.strerror or "unreadable", where=path, remedy="restore or remove it"
            ) from error
        return decode(data, name=path, at_least=self._at_least)


class ArtefactDataset(Dataset[Batch]):
    """Batches of images and their classes.

    Args:
        images: Where pixels come from.
        targets: The class of each image, shape (N,).
        size: Pixels a side that the network sees.
        transform: What happens to an image; None resizes for evaluation.
        copies: What happens to copies made by balancing.
        crop_pct: The central part kept in evaluation.
        interpolation: How to enlarge.
    """

    def __init__(
        self,
        images: ImageFiles | PackedRows,
        targets: npt.NDArray[np.int64],
        *,
        size: int,
        interpolation: Interpolation,
        crop_pct: float = 1.0,
        transform: Augmentation | None = None,
        copies: Augmentation | None = None,
    ) -> None:
        self.images = images
        self.targets = targets
        self.size = size
        self._resize: Callable[[Pixels], Pixels] = eval_transform(size, crop_pct, interpolation)
        self._pipeline = transform.pipeline(size, interpolation) if transform else None
        self._copies = copies.pipeline(size, interpolation) if copies else self._pipeline

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, row: int) -> Batch:
        """Make a batch of one image."""
        return self.__getitems__(BatchPlan(np.array([row]), np.zeros(1, dtype=np.bool_), 0))

    def __getitems__(self, plan: BatchPlan) -> Batch:
        """Make one batch; it depends on the plan alone."""
        for pipeline in (self._pipeline, self._copies):
            if pipeline is not None:
                pipeline.seed(plan.seed)
        images = shared_buffer(len(plan.rows), self.size)
        pixels = images.numpy()
        read: list[int] = []
        unreadable: list[int] = []
        for row, copy in zip(plan.rows.tolist(), plan.copies.tolist(), strict=True):
            try:
                picture = downscale(self.images.read(row), self.size)
            except ImageError as error:
                log.warning("left out: %s", error)
                unreadable.append(row)
                continue
            pixels[len(read)] = self._change(picture, copy)
            read.append(row)
        rows = torch.tensor(read, dtype=torch.int64)
        return Batch(
            images[: len(read)],
            torch.from_numpy(self.targets[rows.numpy()]),
            rows,
            tuple(unreadable),
        )

    def _change(self, picture: Pixels, copy: bool) -> Pixels:
        pipeline: Pipeline | None = self._copies if copy else self._pipeline
        return self._resize(picture) if pipeline is None else pipeline(picture)


def init_worker(_: int) -> None:
    """Keep a worker to its one core, and let the main process decide what Ctrl-C means.

    OpenCV would start as many threads as the machine has cores.
    """
    cv2.setNumThreads(0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def shared_buffer(count: int, size: int) -> torch.Tensor:
    """Return room for images (count, size, size, 3), uint8: in a worker, where the main process reads it."""
    shape = (count, size, size, 3)
    if get_worker_info() is None:
        return torch.empty(shape, dtype=torch.uint8)
    # Written where the main process will read it: a private buffer would be copied once more.
    # As torch's own collate does; there is no public way to ask for it.
    storage = torch.UntypedStorage._new_shared(count * size * size * 3)  # type: ignore[no-untyped-call]  # noqa: SLF001
    return torch.empty(0, dtype=torch.uint8).set_(storage).view(shape)
