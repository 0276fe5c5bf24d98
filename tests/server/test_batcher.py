"""The batcher: an error fails its batch only."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest
from torch import Tensor

from heritage.prediction.batch_prediction import BatchPrediction
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


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), IndexError("a bug")])
def test_an_error_fails_only_its_batch(error: Exception) -> None:
    async def predict_twice() -> None:
        batcher = Batcher(_FailsOnce(error), batch_size=4, observe=lambda _: None)
        batcher.start()
        image = np.zeros((4, 4, 3), dtype=np.uint8)
        with pytest.raises(type(error)):
            await asyncio.wait_for(batcher.predict(image), 10)
        output = await asyncio.wait_for(batcher.predict(image), 10)
        assert output.probabilities.tolist() == [0.5, 0.5]
        await batcher.stop()

    asyncio.run(predict_twice())


def test_it_reports_whether_it_runs_and_how_long_the_network_is_busy() -> None:
    async def watch() -> None:
        batcher = Batcher(_FailsOnce(RuntimeError()), batch_size=4, observe=lambda _: None)
        running = [batcher.running]
        batcher.start()
        running.append(batcher.running)
        assert batcher.busy_seconds == 0
        release = threading.Event()
        task = asyncio.create_task(batcher.run(release.wait))
        while not batcher.busy_seconds > 0.01:
            await asyncio.sleep(0.005)
        release.set()
        await task
        assert batcher.busy_seconds == 0
        await batcher.stop()
        assert [*running, batcher.running] == [False, True, False]

    asyncio.run(asyncio.wait_for(watch(), 20))
