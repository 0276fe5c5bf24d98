"""The batcher: an error is the batch's own, and the next batch is answered."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest
from torch import Tensor

from heritage.prediction.predictor import BatchPrediction
from heritage.server.batcher import Batcher


class _FailsOnce:
    classes = ("egyptian", "asian")

    def __init__(self, error: Exception) -> None:
        self._errors = [error]

    def predict_batch(self, images: Tensor) -> BatchPrediction:
        if self._errors:
            raise self._errors.pop()
        count = len(images)
        return BatchPrediction(np.full((count, 2), 0.5), np.zeros((count, 3), dtype=np.float32))


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), IndexError("a fault of ours")])
def test_an_error_does_not_end_the_batcher(error: Exception) -> None:
    async def ask_twice() -> None:
        batcher = Batcher(_FailsOnce(error), batch_size=4, observe=lambda _: None)
        batcher.start()
        picture = np.zeros((4, 4, 3), dtype=np.uint8)
        with pytest.raises(type(error)):
            await asyncio.wait_for(batcher.ask(picture), 10)
        said = await asyncio.wait_for(batcher.ask(picture), 10)
        assert said.probabilities.tolist() == [0.5, 0.5]
        await batcher.stop()

    asyncio.run(ask_twice())


def test_it_knows_whether_it_works_and_for_how_long_the_network_has_been_busy() -> None:
    async def watch() -> None:
        batcher = Batcher(_FailsOnce(RuntimeError()), batch_size=4, observe=lambda _: None)
        works = [batcher.works]
        batcher.start()
        works.append(batcher.works)
        assert batcher.busy_seconds == 0
        release = threading.Event()
        task = asyncio.create_task(batcher.run(release.wait))
        while not batcher.busy_seconds > 0.01:
            await asyncio.sleep(0.005)
        release.set()
        await task
        assert batcher.busy_seconds == 0
        await batcher.stop()
        assert [*works, batcher.works] == [False, True, False]

    asyncio.run(asyncio.wait_for(watch(), 20))
