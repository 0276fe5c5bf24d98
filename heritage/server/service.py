"""The prediction service: uploads to responses, with bounded time and memory."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from heritage.core.image_io import Pixels
from heritage.inference.prior import Prior
from heritage.metrics.finite import NO_PREDICTION
from heritage.prediction.batch_prediction import SupportsPredictBatch
from heritage.prediction.decision_rule import UNSURE, DecisionRule
from heritage.reports.figures import as_data_url
from heritage.runs.outliers import UNLIKE, is_unlike
from heritage.server.batcher import Batcher, NetworkOutput
from heritage.server.combination import combined_output, object_id, pairwise_similarity, without_views
from heritage.server.limits import Limits
from heritage.server.metrics import Metrics
from heritage.server.request_prior import rule_for
from heritage.server.schemas import (
    ClassProbability,
    ErrorDetail,
    MuseumObject,
    ObjectPrediction,
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


@dataclass(frozen=True, kw_only=True)
class RequestOptions:
    """The query of a request.

    Attributes:
        saliency: Whether to add saliency maps.
        similar: Whether to add similar museum objects.
        object: Whether all images show one object.
        compare: Whether to add the similarity of each pair of images.
        prior: The class frequencies that probabilities are for; None: those of the server.
    """

    saliency: bool = False
    similar: bool = False
    object: bool = False
    compare: bool = False
    prior: Prior | None = None


@dataclass(frozen=True)
class ServicePredictions:
    """The predictions for the images of a request, in their order."""

    pictures: list[PredictionResponse]
    object: ObjectPrediction | None = None
    similarities: list[list[float | None]] | None = None
    rule: DecisionRule | None = None


_Result: TypeAlias = tuple[PredictionResponse, NetworkOutput]


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

    async def predict(self, uploads: Sequence[Upload], options: RequestOptions) -> ServicePredictions:
        """Predict the images of a request.

        Args:
            uploads: The images. Unless there is only one, those that cannot be read get separate errors.
            options: What the response has.

        Raises:
            RequestRefused: The only image cannot be read; or 503, if too many images are queued or the
                predictions take too long.
        """
        if self.pending + len(uploads) > self.limits.waiting:
            raise busy()
        self.pending += len(uploads)
        try:
            async with asyncio.timeout(self.limits.response_seconds):
                rule = await self._rule(options)
                results = await asyncio.gather(
                    *(self._predict(upload, options, rule) for upload in uploads), return_exceptions=True
                )
                responses = self._responses(uploads, results)
                outputs = [None if isinstance(result, BaseException) else result[1] for result in results]
                whole = await self._combine(responses, outputs, options, rule) if options.object else None
        except TimeoutError as error:
            raise RequestRefused(
                503, "too_slow", "No prediction in time. Try again later.", retry_after=5
            ) from error
        finally:
            self.pending -= len(uploads)
        similarities = pairwise_similarity(outputs) if options.compare else None
        return ServicePredictions(responses, whole, similarities, rule)

    async def _rule(self, options: RequestOptions) -> DecisionRule:
        own = self.network.decision_rule
        if options.prior is None:
            return own
        return await asyncio.get_running_loop().run_in_executor(
            self._decoders, rule_for, own, options.prior, self.network.classes
        )

    def _responses(
        self, uploads: Sequence[Upload], results: Sequence[_Result | BaseException]
    ) -> list[PredictionResponse]:
        responses = []
        for upload, result in zip(uploads, results, strict=True):
            if not isinstance(result, BaseException):
                responses.append(result[0])
            elif isinstance(result, RequestRefused) and len(uploads) > 1:
                responses.append(_unreadable(upload, result))
            else:
                raise result
            self._metrics.predictions.labels(responses[-1].prediction or "error").inc()
        return responses

    async def _combine(
        self,
        responses: Sequence[PredictionResponse],
        outputs: Sequence[NetworkOutput | None],
        options: RequestOptions,
        rule: DecisionRule,
    ) -> ObjectPrediction:
        ids = [response.id for response in responses]
        known = [output for output in outputs if output is not None]
        if not known:
            return without_views(ids)
        output = combined_output(known)
        ranking, unsure = self._ranked(output, rule)
        unlike = is_unlike(output.outlier_score)
        return ObjectPrediction(
            id=object_id(ids),
            views=len(known),
            prediction=_prediction(ranking, unsure, unlike),
            unsure=unsure or unlike,
            unlike_training=None if output.outlier_score is None else unlike,
            outlier_score=output.outlier_score,
            ranking=ranking,
            similar=await self._similar(output) if options.similar else [],
        )

    async def _predict(self, upload: Upload, options: RequestOptions, rule: DecisionRule) -> _Result:
        loop = asyncio.get_running_loop()
        pixels = await loop.run_in_executor(self._decoders, self._decode, upload)
        output = await self.batcher.predict(pixels)
        if not output.predicted:
            raise RequestRefused(500, "no_prediction", f"{NO_PREDICTION.capitalize()}.")
        probabilities = rule.converted(output.probabilities[None], self.network.decision_rule)[0]
        output = replace(output, probabilities=probabilities)
        response = self._response(upload, output, rule)
        if options.saliency:
            response.saliency = await self.batcher.run(partial(self._saliency, pixels, output))
        if options.similar and not options.object:
            response.similar = await self._similar(output)
        return response, output

    async def _similar(self, output: NetworkOutput) -> list[MuseumObject]:
        if self.similar_objects is None:
            return []
        return await asyncio.get_running_loop().run_in_executor(
            self._decoders, self.similar_objects.nearest, output.embedding, _SIMILAR
        )

    def _decode(self, upload: Upload) -> Pixels:
        _ = upload.sha256  # computed here, in a thread
        size, most = self.network.image_size, self.limits.megapixels
        return self.network.prepare(decode_upload(upload.data, at_least=size, megapixels=most))

    def _response(self, upload: Upload, output: NetworkOutput, rule: DecisionRule) -> PredictionResponse:
        ranking, unsure = self._ranked(output, rule)
        unlike = is_unlike(output.outlier_score)
        chosen = None if unlike else rule.prediction_set(output.probabilities, self.network.classes)
        return PredictionResponse(
            name=upload.name,
            id=upload.sha256,
            prediction=_prediction(ranking, unsure, unlike),
            unsure=unsure or unlike,
            unlike_training=None if output.outlier_score is None else unlike,
            outlier_score=output.outlier_score,
            prediction_set=None if chosen is None else list(chosen),
            ranking=ranking,
        )

    def _ranked(self, output: NetworkOutput, rule: DecisionRule) -> tuple[list[ClassProbability], bool]:
        """Return all classes, most probable first, and whether the prediction is unsure."""
        order = np.argsort(-output.probabilities, kind="stable")
        ranking = [
            ClassProbability(
                label=self.network.classes[k], probability=round(float(output.probabilities[k]), 6)
            )
            for k in order
        ]
        return ranking, rule.unsure(float(output.probabilities[order[0]]))

    def _saliency(self, pixels: Pixels, output: NetworkOutput) -> str:
        return as_data_url(self.network.saliency(pixels, int(output.probabilities.argmax())))


def _prediction(ranking: Sequence[ClassProbability], unsure: bool, unlike: bool) -> str:
    if unlike:
        return UNLIKE
    return UNSURE if unsure else ranking[0].label


def _unreadable(upload: Upload, refusal: RequestRefused) -> PredictionResponse:
    error = ErrorDetail(code=refusal.code, message=refusal.message)
    return PredictionResponse(name=upload.name, id=upload.sha256, prediction=None, error=error)
