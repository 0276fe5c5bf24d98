"""The prediction service: uploads to responses, with bounded time and memory."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol

import numpy as np
import numpy.typing as npt

from heritage.core.image_io import Pixels
from heritage.metrics.finite import NO_PREDICTION
from heritage.prediction.batch_prediction import SupportsPredictBatch
from heritage.prediction.decision_rule import UNSURE, DecisionRule
from heritage.reports.figures import as_data_url
from heritage.server.batcher import Batcher, NetworkOutput
from heritage.server.limits import Limits
from heritage.server.metrics import Metrics
from heritage.server.schemas import (
    ClassProbability,
    ErrorDetail,
    PredictionResponse,
    RequestRefused,
    busy,
)
from heritage.server.similar import SimilarObjects
from heritage.server.uploads import Upload, decode_upload

_SIMILAR = 6  # objects shown


class ServedNetwork(SupportsPredictBatch, Protocol):
    """A classifier with preprocessing and saliency: `heritage.prediction.predictor.Predictor`."""

    decision_rule: DecisionRule

    @property
    def image_size(self) -> int:
        """Height and width of the network's input in pixels, S."""
        ...

    def prepare(self, pixels: Pixels) -> Pixels:
        """Resize an image (H, W, 3) to (S, S, 3)."""
        ...

    def saliency(self, pixels: Pixels, target: int) -> npt.NDArray[np.float32]:
        """Return a saliency map (S, S) from 0 to 1 for a class."""
        ...


class PredictionService:
    """Predicts uploads.

    Args:
        network: The network.
        similar_objects: The index of similar objects; None without a data set.
        limits: Limits of requests.
        metrics: Counts predictions and batches.
        batch_size: Images per batch at most.
        decoders: Images decoded at a time, which bounds the memory for pixels.
    """

    def __init__(
        self,
        network: ServedNetwork,
        similar_objects: SimilarObjects | None,
        limits: Limits,
        metrics: Metrics,
        *,
        batch_size: int,
        decoders: int,
    ) -> None:
        self.network = network
        self.similar_objects = similar_objects
        self.limits = limits
        self._metrics = metrics
        self.pending = 0  # images being predicted or queued
        self.batcher = Batcher(network, batch_size=batch_size, observe=metrics.batches.observe)
        self._decoders = ThreadPoolExecutor(decoders, thread_name_prefix="decode")

    @property
    def healthy(self) -> bool:
        """Whether a new request can expect a prediction in time."""
        return self.batcher.running and self.batcher.busy_seconds < self.limits.response_seconds

    def start(self) -> None:
        """Start in the running event loop."""
        self.batcher.start()

    async def stop(self) -> None:
        """Stop all threads."""
        await self.batcher.stop()
        self._decoders.shutdown(wait=True, cancel_futures=True)

    async def predict(
        self, uploads: Sequence[Upload], *, saliency: bool, similar: bool
    ) -> list[PredictionResponse]:
        """Predict the images of a request.

        Args:
            uploads: The images. Unless there is only one, those that cannot be read get separate errors.
            saliency: Whether to add saliency maps.
            similar: Whether to add similar museum objects.

        Raises:
            RequestRefused: The only image cannot be read; or 503, if too many images are queued or the
                predictions take too long.
        """
        if self.pending + len(uploads) > self.limits.waiting:
            raise busy()
        self.pending += len(uploads)
        try:
            async with asyncio.timeout(self.limits.response_seconds):
                results = await asyncio.gather(
                    *(self._predict(upload, saliency=saliency, similar=similar) for upload in uploads),
                    return_exceptions=True,
                )
        except TimeoutError as error:
            raise RequestRefused(
                503, "too_slow", "No prediction in time. Try again later.", retry_after=5
            ) from error
        finally:
            self.pending -= len(uploads)
        return self._responses(uploads, results)

    def _responses(
        self, uploads: Sequence[Upload], results: Sequence[PredictionResponse | BaseException]
    ) -> list[PredictionResponse]:
        responses = []
        for upload, result in zip(uploads, results, strict=True):
            if isinstance(result, PredictionResponse):
                responses.append(result)
            elif isinstance(result, RequestRefused) and len(uploads) > 1:
                responses.append(_unreadable(upload, result))
            else:
                raise result
            self._metrics.predictions.labels(responses[-1].prediction or "error").inc()
        return responses

    async def _predict(self, upload: Upload, *, saliency: bool, similar: bool) -> PredictionResponse:
        loop = asyncio.get_running_loop()
        pixels = await loop.run_in_executor(self._decoders, self._decode, upload.data)
        output = await self.batcher.predict(pixels)
        if not output.predicted:
            raise RequestRefused(500, "no_prediction", f"{NO_PREDICTION.capitalize()}.")
        response = self._response(upload, output)
        if saliency:
            response.saliency = await self.batcher.run(partial(self._saliency, pixels, output))
        if similar and self.similar_objects is not None:
            response.similar = await loop.run_in_executor(
                self._decoders, self.similar_objects.nearest, output.embedding, _SIMILAR
            )
        return response

    def _decode(self, data: bytes) -> Pixels:
        size = self.network.image_size
        return self.network.prepare(decode_upload(data, at_least=size, megapixels=self.limits.megapixels))

    def _response(self, upload: Upload, output: NetworkOutput) -> PredictionResponse:
        order = np.argsort(-output.probabilities, kind="stable")
        classes = self.network.classes
        unsure = self.network.decision_rule.unsure(float(output.probabilities[order[0]]))
        return PredictionResponse(
            name=upload.name,
            prediction=UNSURE if unsure else classes[order[0]],
            unsure=unsure,
            ranking=[
                ClassProbability(label=classes[k], probability=round(float(output.probabilities[k]), 6))
                for k in order
            ],
        )

    def _saliency(self, pixels: Pixels, output: NetworkOutput) -> str:
        return as_data_url(self.network.saliency(pixels, int(output.probabilities.argmax())))


def _unreadable(upload: Upload, refusal: RequestRefused) -> PredictionResponse:
    error = ErrorDetail(code=refusal.code, message=refusal.message)
    return PredictionResponse(name=upload.name, prediction=None, error=error)
