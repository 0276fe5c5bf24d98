"""Image files of any size and format to uint8 batches; an unreadable file becomes an error in its batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from heritage.core.image_io import Pixels, decode
from heritage.core.processes import loader_context
from heritage.core.signals import signals_blocked
from heritage.data.dataset import init_worker, shared_buffer
from heritage.errors import ImageError
from heritage.prediction.image_input import read_file
from heritage.prediction.inputs import Inputs
from heritage.prediction.members import NetworkInputs


class ImageBatch(NamedTuple):
    """Consecutive images; unreadable ones have an error instead of pixels."""

    images: Tensor
    """The readable images: uint8, (B, S, S, 3), or rows for networks that differ (`NetworkInputs`)."""
    errors: dict[int, str]
    """Position in the batch → why that image cannot be read."""
    rows: range
    """Positions among all inputs, readable or not."""


class InputDataset(Dataset[ImageBatch]):
    """A map-style dataset whose items are whole batches, resized as in evaluation.

    Args:
        inputs: The image files.
        networks: The networks' preprocessing.
    """

    def __init__(self, inputs: Inputs, networks: NetworkInputs) -> None:
        self.inputs = inputs
        self.networks = networks

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitems__(self, rows: range) -> ImageBatch:
        """Read and resize the images of some rows."""
        images = shared_buffer(len(rows), *self.networks.shape)
        pixels = images.numpy()
        errors: dict[int, str] = {}
        count = 0
        for position, row in enumerate(rows):
            try:
                pixels[count] = self.networks.prepare(self._read(row))
            except ImageError as error:
                errors[position] = error.what
                continue
            count += 1
        return ImageBatch(images[:count], errors, rows)

    def _read(self, row: int) -> Pixels:
        path = self.inputs.path(row)
        return decode(read_file(path), name=path, at_least=self.networks.image_size)


def image_batches(
    dataset: InputDataset, *, start: int, batch_size: int, num_workers: int, pin_memory: bool
) -> Iterator[ImageBatch]:
    """Yield batches in order, beginning at a row.

    A single batch is read in this process: starting workers would take longer.

    Args:
        dataset: The images.
        start: The first row.
        batch_size: Images per batch.
        num_workers: Worker processes at most.
        pin_memory: Whether batches are put into page-locked memory, for copies to a GPU.
    """
    batches = [
        range(first, min(first + batch_size, len(dataset)))
        for first in range(start, len(dataset), batch_size)
    ]
    workers = min(num_workers, len(batches) - 1)
    loader: DataLoader[ImageBatch] = DataLoader(
        dataset,
        batch_sampler=batches,  # type: ignore[arg-type]  # ranges instead of lists of indices
        num_workers=max(workers, 0),
        collate_fn=_identity,
        pin_memory=pin_memory,
        worker_init_fn=init_worker,
        prefetch_factor=4 if workers > 0 else None,
        multiprocessing_context=loader_context() if workers > 0 else None,
    )
    with signals_blocked():
        loaded = iter(loader)  # starts the workers
    yield from loaded


def _identity(batch: Any) -> Any:
    return batch
