"""Files of any size and kind to uint8 batches for a network; a bad one becomes a reason, never a stop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from heritage.core.image_io import Pixels, decode
from heritage.data.augment import Interpolation, evaluation, reduce
from heritage.data.dataset import shared_buffer, start_worker
from heritage.errors import ImageError
from heritage.prediction.inputs import Inputs


class PictureBatch(NamedTuple):
    """Some pictures one after the other; those that cannot be read have a reason instead of pixels."""

    images: Tensor
    """Of those that can be read: uint8, shape (B, S, S, 3)."""
    faults: dict[int, str]
    """Position in the batch → why it cannot be read."""
    rows: range
    """Positions among all pictures."""


class PictureDataset(Dataset[PictureBatch]):
    """Whole batches of pictures, resized as evaluation does.

    Args:
        inputs: The pictures.
        size: Pixels a side that the network sees.
        crop_pct: The central part of each side that is kept.
        interpolation: How to enlarge.
    """

    def __init__(self, inputs: Inputs, *, size: int, crop_pct: float, interpolation: Interpolation) -> None:
        self.inputs = inputs
        self.size = size
        self._resize = evaluation(size, crop_pct, interpolation)

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitems__(self, rows: range) -> PictureBatch:
        """Read and resize pictures."""
        images = shared_buffer(len(rows), self.size)
        pixels = images.numpy()
        faults: dict[int, str] = {}
        read = 0
        for place, row in enumerate(rows):
            try:
                pixels[read] = self._resize(reduce(self._read(row), self.size))
            except ImageError as error:
                faults[place] = error.what
                continue
            read += 1
        return PictureBatch(images[:read], faults, rows)

    def _read(self, row: int) -> Pixels:
        path = self.inputs.path(row)
        try:
            data = path.read_bytes()
        except (OSError, ValueError) as error:  # ValueError: a name with a null character
            reason = getattr(error, "strerror", None) or "no file can have this name"
            raise ImageError(reason.lower(), where=path) from error
        return decode(data, name=path, at_least=self.size)


def picture_batches(
    dataset: PictureDataset, *, start: int, batch_size: int, num_workers: int, pin_memory: bool
) -> Iterator[PictureBatch]:
    """Yield batches in order, from a row on.

    Few pictures are read in this process: starting others would take longer.
    """
    plan = [
        range(first, min(first + batch_size, len(dataset)))
        for first in range(start, len(dataset), batch_size)
    ]
    workers = min(num_workers, len(plan) - 1)
    loader: DataLoader[PictureBatch] = DataLoader(
        dataset,
        batch_sampler=plan,  # type: ignore[arg-type]  # ranges instead of lists of indices
        num_workers=max(workers, 0),
        collate_fn=_as_it_is,
        pin_memory=pin_memory,
        worker_init_fn=start_worker,
        prefetch_factor=4 if workers > 0 else None,
    )
    yield from loader


def _as_it_is(batch: Any) -> Any:
    return batch
