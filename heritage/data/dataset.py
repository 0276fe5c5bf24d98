"""A map-style dataset that fetches whole batches.

Workers receive a `BatchPlan` and return a `Batch` with all images in one uint8 buffer, so that no float image
crosses a process boundary and nothing is collated.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch.utils.data import Dataset, get_worker_info

from heritage.core.bounded_read import read_bounded
from heritage.core.image_io import Pixels, decode
from heritage.core.manifest import Manifest
from heritage.core.signals import leave_signals_to_parent
from heritage.data.augment import Augmentation, Interpolation, Pipeline, downscale, eval_transform
from heritage.data.batch import Batch, BatchPlan
from heritage.data.packed_rows import PackedRows
from heritage.errors import ImageError

log = logging.getLogger(__name__)


class ImageFiles:
    """The images of a manifest, decoded from their files.

    File names are in Arrow buffers: the pages of a list of strings would be copied into every worker as
    reference counts change.

    Args:
        manifest: The manifest.
        at_least: Allow JPEG to be decoded at reduced size (`heritage.core.image_io.decode`).
    """

    def __init__(self, manifest: Manifest, at_least: int) -> None:
        self._root = manifest.root
        self._files: pa.StringArray = manifest.table["file"].combine_chunks()
        self._at_least = at_least

    def __len__(self) -> int:
        return len(self._files)

    def path(self, row: int) -> Path:
        """Return the path of an image."""
        name: str = self._files[row].as_py()
        return self._root / name

    def read(self, row: int) -> Pixels:
        """Decode an image.

        Raises:
            ImageError: It is missing or damaged.
        """
        path = self.path(row)
        try:
            data = read_bounded(path)
        except OSError as error:
            raise ImageError(
                error.strerror or "unreadable", where=path, remedy="restore or remove it"
            ) from error
        return decode(data, name=path, at_least=self._at_least)


class ArtefactDataset(Dataset[Batch]):
    """Batches of images and targets.

    Args:
        images: The images.
        targets: The class of each image, shape (N,).
        size: Pixels per side of the network's input.
        interpolation: Used for enlarging.
        crop_pct: The fraction of each side kept in evaluation.
        transform: Augmentation; None resizes for evaluation.
        copies: Augmentation of copies made by oversampling; None is ``transform``.
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
        """Return a batch of one image."""
        return self.__getitems__(BatchPlan(np.array([row]), np.zeros(1, dtype=np.bool_), 0))

    def __getitems__(self, plan: BatchPlan) -> Batch:
        """Return the batch of a plan."""
        for pipeline in (self._pipeline, self._copies):
            if pipeline is not None:
                pipeline.seed(plan.seed)
        images = shared_buffer(len(plan.rows), self.size, self.size, 3)
        pixels = images.numpy()
        read: list[int] = []
        unreadable: list[int] = []
        for row, copy in zip(plan.rows.tolist(), plan.copies.tolist(), strict=True):
            try:
                image = downscale(self.images.read(row), self.size)
            except ImageError as error:
                log.warning("left out: %s", error)
                unreadable.append(row)
                continue
            pixels[len(read)] = self._transform(image, copy)
            read.append(row)
        rows = torch.tensor(read, dtype=torch.int64)
        return Batch(
            images[: len(read)],
            torch.from_numpy(self.targets[rows.numpy()]),
            rows,
            tuple(unreadable),
        )

    def _transform(self, image: Pixels, copy: bool) -> Pixels:
        pipeline: Pipeline | None = self._copies if copy else self._pipeline
        return self._resize(image) if pipeline is None else pipeline(image)


def init_worker(_: int) -> None:
    """Initialise a data worker: one thread, and signals are left to the main process.

    OpenCV would start as many threads as there are cores.
    """
    cv2.setNumThreads(0)
    leave_signals_to_parent()


def shared_buffer(*shape: int) -> torch.Tensor:
    """Return an empty uint8 buffer of a shape; in a worker, in shared memory."""
    if get_worker_info() is None:
        return torch.empty(shape, dtype=torch.uint8)
    # As in torch's own collate, which has no public equivalent: a private buffer would be copied once more.
    storage = torch.UntypedStorage._new_shared(math.prod(shape))  # type: ignore[no-untyped-call]  # noqa: SLF001
    return torch.empty(0, dtype=torch.uint8).set_(storage).view(shape)
