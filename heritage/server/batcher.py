"""Dynamic batching: while the network processes one batch, concurrent requests fill the next.

There is no waiting time for a batch to fill: a single image is processed at once, and under load a batch
holds the images that arrived in the meantime.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch

from heritage.core.image_io import Pixels
from heritage.prediction.batch_prediction import SupportsPredictBatch

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class NetworkOutput:
    """The output of the network for one image."""

    probabilities: npt.NDArray[np.float64]
    """Shape (K,)."""
    embedding: npt.NDArray[np.float32]
    """Shape (D,)."""
    predicted: bool = True
    """False where the network's output is not finite."""
    outlier_score: float | None = None
    """Above 1, the image is unlike the training images; None without a fitted score."""


@dataclass
class _QueuedImage:
    pixels: Pixels
    future: asyncio.Future[NetworkOutput]


class Batcher:
    """Runs a network in a single thread, in batches.

    Args:
        network: The network.
        batch_size: Images per batch at most.
        observe: Called with the size of each batch.
    """

    def __init__(
        self, network: SupportsPredictBatch, *, batch_size: int, observe: Callable[[int], None]
    ) -> None:
        self._network = network
        self._batch_size = batch_size
        self._observe = observe
        self._queue: asyncio.Queue[_QueuedImage] = asyncio.Queue()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="network")
        self._worker: asyncio.Task[None] | None = None
        self._busy_since: float | None = None

    @property
    def running(self) -> bool:
        """Whether queued images will be processed."""
        return self._worker is not None and not self._worker.done()

    @property
    def busy_seconds(self) -> float:
        """Seconds that the current batch has been running; 0 when idle."""
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

    def start(self) -> None:
        """Start the worker in the running event loop."""
        self._worker = asyncio.create_task(self._work())

    async def stop(self) -> None:
        """Stop the worker and its thread."""
        if self._worker is not None:
            self._worker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._worker
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def predict(self, pixels: Pixels) -> NetworkOutput:
        """Return the output for a network input (S, S, 3)."""
        future: asyncio.Future[NetworkOutput] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait(_QueuedImage(pixels, future))
        return await future

    async def run(self, task: Callable[[], _Result]) -> _Result:
        """Run another function in the network's thread, between two batches."""

        def timed() -> _Result:
            self._busy_since = time.monotonic()
            try:
                return task()
            finally:
                self._busy_since = None

        return await asyncio.get_running_loop().run_in_executor(self._thread, timed)

    async def _work(self) -> None:
        while True:
            batch = [await self._queue.get()]
            while len(batch) < self._batch_size and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            batch = [image for image in batch if not image.future.done()]  # skip cancelled requests
            if batch:
                await self._process(batch)

    async def _process(self, batch: list[_QueuedImage]) -> None:
        self._observe(len(batch))
        # An exception that escapes this task would stop the worker, and all later requests would hang.
        (outputs,) = await asyncio.gather(self.run(lambda: self._predict(batch)), return_exceptions=True)
        if isinstance(outputs, BaseException):
            for image in batch:
                if not image.future.done():
                    image.future.set_exception(outputs)
            return
        for image, output in zip(batch, outputs, strict=True):
            if not image.future.done():
                image.future.set_result(output)

    def _predict(self, batch: list[_QueuedImage]) -> list[NetworkOutput]:
        images = torch.from_numpy(np.stack([image.pixels for image in batch]))
        output = self._network.predict_batch(images)
        predicted, scores = output.predicted, output.outlier_scores
        return [
            NetworkOutput(
                output.probabilities[k],
                output.embeddings[k],
                bool(predicted[k]),
                None if scores is None else float(scores[k]),
            )
            for k in range(len(batch))
        ]
