"""The enquiry desk: uploads in, replies out, each within its bounds of time and memory."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol

import numpy as np
import numpy.typing as npt

from heritage.core.image_io import Pixels
from heritage.prediction.decision_rule import UNSURE, DecisionRule
from heritage.prediction.predictor import SupportsPredictBatch
from heritage.reports.figures import as_data_url
from heritage.server.batcher import Batcher, QueuedPrediction
from heritage.server.limits import Limits
from heritage.server.metrics import Metrics
from heritage.server.schemas import Fault, MuseumObject, PredictionResponse, Ranked, RequestRefused, busy
from heritage.server.similar import SimilarObjects
from heritage.server.uploads import Upload, read_picture

_SIMILAR = 6


class Network(SupportsPredictBatch, Protocol):
    """What the desk asks."""

    decision_rule: DecisionRule

    @property
    def image_size(self) -> int:
        """Pixels a side that the network sees."""
        ...

    def prepare(self, pixels: Pixels) -> Pixels:
        """Resize a picture (H, W, 3) to (S, S, 3)."""
        ...

    def saliency(self, pixels: Pixels, label: int) -> npt.NDArray[np.float32]:
        """Return where it looks for a class, (S, S), from 0 to 1."""
        ...


class PredictionService:
    """Answers uploads.

    Args:
        network: The network.
        neighbours: The index of similar objects; None where there is none.
        limits: What is accepted.
        metrics: Counts answers and batches.
        batch_size: Pictures at a time that the network is asked about.
        readers: Pictures decoded at a time: bounds the memory that pixels take.
    """

    def __init__(
        self,
        network: Network,
        neighbours: SimilarObjects | None,
        limits: Limits,
        metrics: Metrics,
        *,
        batch_size: int,
        readers: int,
    ) -> None:
        self.network = network
        self.neighbours = neighbours
        self.limits = limits
        self._metrics = metrics
        self.inside = 0  # pictures that are being answered or wait for it
        self.batcher = Batcher(network, batch_size=batch_size, observe=metrics.batches.observe)
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix="reader")

    @property
    def answers(self) -> bool:
        """Whether a picture given now can hope for an answer in time."""
        return self.batcher.works and self.batcher.busy_seconds < self.limits.answer_seconds

    def start(self) -> None:
        """Open, in the running event loop."""
        self.batcher.start()

    async def stop(self) -> None:
        """Close."""
        await self.batcher.stop()
        self._readers.shutdown(wait=True, cancel_futures=True)

    async def answer(
        self, uploads: Sequence[Upload], *, saliency: bool, similar: bool
    ) -> list[PredictionResponse]:
        """Answer for pictures.

        A picture that cannot be read gets its error; where it is the only one, the error is raised.

        Raises:
            Refusal: Of the only picture; or 503 for all, where there is too much to do or no answer in time.
        """
        if self.inside + len(uploads) > self.limits.waiting:
            raise busy()
        self.inside += len(uploads)
        try:
            async with asyncio.timeout(self.limits.answer_seconds):
                found = await asyncio.gather(
                    *(self._one(upload, saliency=saliency, similar=similar) for upload in uploads),
                    return_exceptions=True,
                )
        except TimeoutError as error:
            raise RequestRefused(
                503, "too_slow", "No answer in time. Try again later.", retry_after=5
            ) from error
        finally:
            self.inside -= len(uploads)
        return self._replies(uploads, found)

    def _replies(
        self, uploads: Sequence[Upload], found: Sequence[PredictionResponse | BaseException]
    ) -> list[PredictionResponse]:
        replies = []
        for upload, reply in zip(uploads, found, strict=True):
            if isinstance(reply, PredictionResponse):
                replies.append(reply)
            elif isinstance(reply, RequestRefused) and len(uploads) > 1:
                replies.append(_refused(upload, reply))
            else:
                raise reply
            self._metrics.answers.labels(replies[-1].answer or "error").inc()
        return replies

    async def _one(self, upload: Upload, *, saliency: bool, similar: bool) -> PredictionResponse:
        loop = asyncio.get_running_loop()
        pixels = await loop.run_in_executor(self._readers, self._read, upload.data)
        said = await self.batcher.ask(pixels)
        reply = self._reply(upload, said)
        if saliency:
            reply.saliency = await self.batcher.run(partial(self._saliency, pixels, said))
        if similar and self.neighbours is not None:
            reply.similar = await loop.run_in_executor(self._readers, self._similar, said)
        return reply

    def _read(self, data: bytes) -> Pixels:
        size = self.network.image_size
        return self.network.prepare(read_picture(data, at_least=size, megapixels=self.limits.megapixels))

    def _reply(self, upload: Upload, said: QueuedPrediction) -> PredictionResponse:
        order = np.argsort(-said.probabilities, kind="stable")
        classes = self.network.classes
        unsure = self.network.decision_rule.unsure(float(said.probabilities[order[0]]))
        return PredictionResponse(
            name=upload.name,
            answer=UNSURE if unsure else classes[order[0]],
            unsure=unsure,
            ranking=[
                Ranked(label=classes[k], probability=round(float(said.probabilities[k]), 6)) for k in order
            ],
        )

    def _saliency(self, pixels: Pixels, said: QueuedPrediction) -> str:
        label = int(said.probabilities.argmax())
        return as_data_url(self.network.saliency(pixels, label))

    def _similar(self, said: QueuedPrediction) -> list[MuseumObject]:
        return [] if self.neighbours is None else self.neighbours.nearest(said.embedding, _SIMILAR)


def _refused(upload: Upload, refusal: RequestRefused) -> PredictionResponse:
    return PredictionResponse(
        name=upload.name, answer=None, error=Fault(code=refusal.code, message=refusal.message)
    )
