"""Concurrent requests share batches: while the network works on one, the next gathers.

No time is spent waiting for a batch to fill: a lone picture goes at once, and under load the batch is
whatever has come in the meantime.
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
from heritage.prediction.predictor import SupportsPredictBatch

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class QueuedPrediction:
    """The network's answer for one picture."""

    probabilities: npt.NDArray[np.float64]
    """Shape (K,)."""
    embedding: npt.NDArray[np.float32]
    """Shape (D,)."""


@dataclass
class _Waiting:
    pixels: Pixels
    answer: asyncio.Future[QueuedPrediction]


class Batcher:
    """Asks a network from one thread, in batches.

    Args:
        network: The network.
        batch_size: Pictures at a time, at most.
        observe: Called with the size of each batch.
    """

    def __init__(
        self, network: SupportsPredictBatch, *, batch_size: int, observe: Callable[[int], None]
    ) -> None:
        self._network = network
        self._batch_size = batch_size
        self._observe = observe
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="network")
        self._task: asyncio.Task[None] | None = None
        self._since: float | None = None  # when the network's thread began what it is doing

    @property
    def works(self) -> bool:
        """Whether pictures that are waiting will get their turn."""
        return self._task is not None and not self._task.done()

    @property
    def busy_seconds(self) -> float:
        """How long the network has been at what it is doing; 0 where it does nothing."""
        since = self._since
        return 0.0 if since is None else time.monotonic() - since

    def start(self) -> None:
        """Begin to work, in the running event loop."""
        self._task = asyncio.create_task(self._work())

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def ask(self, pixels: Pixels) -> QueuedPrediction:
        """Answer for a picture as the network sees it, (S, S, 3)."""
        answer: asyncio.Future[QueuedPrediction] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait(_Waiting(pixels, answer))
        return await answer

    async def run(self, task: Callable[[], _Result]) -> _Result:
        """Run something else that needs the network, between two batches."""

        def timed() -> _Result:
            self._since = time.monotonic()
            try:
                return task()
            finally:
                self._since = None

        return await asyncio.get_running_loop().run_in_executor(self._thread, timed)

    async def _work(self) -> None:
        while True:
            batch = [await self._queue.get()]
            while len(batch) < self._batch_size and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            batch = [one for one in batch if not one.answer.done()]  # who gave up needs no answer
            if batch:
                await self._answer(batch)

    async def _answer(self, batch: list[_Waiting]) -> None:
        self._observe(len(batch))
        # Whatever goes wrong is the batch's: an error that left this task would end it, and all later
        # pictures would wait for nobody.
        (found,) = await asyncio.gather(self.run(lambda: self._asked(batch)), return_exceptions=True)
        if isinstance(found, BaseException):
            for one in batch:
                if not one.answer.done():
                    one.answer.set_exception(found)
            return
        for one, said in zip(batch, found, strict=True):
            if not one.answer.done():
                one.answer.set_result(said)

    def _asked(self, batch: list[_Waiting]) -> list[QueuedPrediction]:
        found = self._network.predict_batch(torch.from_numpy(np.stack([one.pixels for one in batch])))
        return [QueuedPrediction(found.probabilities[k], found.embeddings[k]) for k in range(len(batch))]
