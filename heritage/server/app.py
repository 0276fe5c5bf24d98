"""The web application: a page, its API (`POST /predict`), health and metrics."""

from __future__ import annotations

import asyncio
import contextlib
import mimetypes
import time
from collections.abc import AsyncIterator, Collection

from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from heritage.prediction.decision_rule import DecisionRule
from heritage.server.examples import ExampleImages
from heritage.server.limits import MEGABYTE, Limits
from heritage.server.metrics import CONTENT_TYPE, Metrics
from heritage.server.middleware import RateLimit, SecurityMiddleware, error_response
from heritage.server.openapi import openapi
from heritage.server.pages import COOKIE, LANGUAGES, choose_language, render_page, static_files
from heritage.server.request_prior import parse_prior
from heritage.server.schemas import (
    Health,
    ModelInfo,
    PredictionResponses,
    RequestRefused,
    VerdictRequest,
    VerdictSaved,
)
from heritage.server.service import PredictionService, RequestOptions
from heritage.server.uploads import UploadMemory, read_body, read_uploads
from heritage.server.verdicts import RecentPredictions, VerdictFile

_VERDICT_BYTES = 8192  # of a request
_CACHED_FOR_A_DAY = {"cache-control": "private, max-age=86400"}
_HTTP_ERRORS = {
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This address does not support the method: see /openapi.json."),
}


def build_application(
    service: PredictionService,
    examples: ExampleImages,
    model_info: ModelInfo,
    limits: Limits,
    metrics: Metrics,
    *,
    hosts: Collection[str] | None,
    names: Collection[str] = (),
    verdicts: VerdictFile | None = None,
) -> ASGIApp:
    """Build the ASGI application.

    Args:
        service: Predicts uploads.
        examples: The images that the server shows itself.
        model_info: The response of ``GET /about``.
        limits: Limits of requests.
        metrics: Counters for Prometheus.
        hosts: Accepted host names; None accepts all.
        names: Host names under which a reverse proxy shows the page.
        verdicts: The file to which verdicts are added; None accepts none.
    """
    register_url_convertor("number", NumberConvertor())
    endpoints = Endpoints(service, examples, model_info, limits, metrics, verdicts)
    routes = [
        Route("/predict", endpoints.predict, methods=["POST"]),
        Route("/verdicts", endpoints.verdict, methods=["POST"]),
        Route("/about", endpoints.about),
        Route("/health", endpoints.health),
        Route("/metrics", endpoints.metrics),
        Route("/openapi.json", endpoints.openapi),
        Route("/examples/{number:number}.jpg", endpoints.example),
        Route("/objects/{row:number}.jpg", endpoints.thumbnail),
        _page_route(civilisations=model_info.civilisations),
        *(_static_route(path, content) for path, content in static_files().items()),
    ]

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        service.start()
        yield
        await service.stop()

    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        exception_handlers={RequestRefused: _refused, HTTPException: _http_error, Exception: _internal_error},
    )
    app.router.redirect_slashes = False  # it would send clients to whatever Host header they gave
    paths = [route.path for route in routes]
    return SecurityMiddleware(
        app,
        hosts=hosts,
        names=names,
        rate_limit=RateLimit(limits.per_minute),
        metrics=metrics,
        paths=paths,
    )


class NumberConvertor(Convertor[int]):
    """Numbers in paths, of nine digits at most: Python refuses to read thousands of digits."""

    regex = "[0-9]{1,9}"

    def convert(self, value: str) -> int:
        """Return the number of a path."""
        return int(value)

    def to_string(self, value: int) -> str:
        """Return a number as it is in a path."""
        return str(value)


class Endpoints:
    """The request handlers.

    Args:
        service: Predicts uploads.
        examples: The images that the server shows itself.
        model_info: The response of ``GET /about``.
        limits: Limits of requests.
        metrics: Counters for Prometheus.
        verdicts: The file to which verdicts are added; None accepts none.
    """

    def __init__(
        self,
        service: PredictionService,
        examples: ExampleImages,
        model_info: ModelInfo,
        limits: Limits,
        metrics: Metrics,
        verdicts: VerdictFile | None = None,
    ) -> None:
        self._service = service
        self._examples = examples
        self._model_info = model_info
        self._limits = limits
        self._metrics = metrics
        self._memory = UploadMemory(int(limits.held_megabytes * MEGABYTE))
        self._document = openapi(limits)
        self._verdicts = verdicts
        self._recent = RecentPredictions()
        self._verdict_rate = RateLimit(limits.verdicts_per_minute)
        metrics.gauge(
            "heritage_pictures_pending", "Images being predicted or queued", lambda: service.pending
        )
        metrics.gauge("heritage_upload_bytes_held", "Bytes of uploads in memory", lambda: self._memory.held)

    async def predict(self, request: Request) -> Response:
        """Predict the images of a request."""
        options = RequestOptions(
            saliency=_flag(request, "saliency"),
            similar=_flag(request, "similar"),
            object=_flag(request, "object"),
            compare=_flag(request, "compare"),
            prior=parse_prior(request.query_params.get("prior")),
        )
        info = self._model_info
        try:
            async with read_uploads(request, self._limits, self._memory) as uploads:
                found = await self._service.predict(uploads, options)
                rule = found.rule if options.prior is not None else None
                responses = PredictionResponses(
                    calibration=info.calibration if rule is None else str(rule),
                    notes=info.notes if rule is None else self._notes_under(rule),
                    prior=info.prior if rule is None else dict(rule.prior or {}),
                    pictures=found.pictures,
                    object=found.object,
                    similarities=found.similarities,
                )
                if self._verdicts is not None:
                    self._recent.add(uploads, responses)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody receives it
        return _json(responses)

    def _notes_under(self, rule: DecisionRule) -> list[str]:
        """Return the notes on the networks, and those on a request's rule in place of the server's."""
        own = self._service.network.decision_rule
        of_server = own.notes(own.views)
        return [*(note for note in self._model_info.notes if note not in of_server), *rule.notes(rule.views)]

    async def verdict(self, request: Request) -> Response:
        """Save a verdict on a prediction."""
        if self._verdicts is None:
            raise RequestRefused(404, "no_verdicts", "This server keeps no verdicts.")
        self._verdict_rate.take(request.client.host if request.client else "", time.monotonic())
        body = await read_body(request, _VERDICT_BYTES, self._limits.upload_seconds)
        try:
            verdict = VerdictRequest.model_validate_json(body)
        except ValidationError as error:
            raise RequestRefused(
                400, "bad_verdict", "The verdict is not as /openapi.json describes it."
            ) from error
        if verdict.label is not None and verdict.label not in self._model_info.classes:
            raise RequestRefused(400, "unknown_class", "The network has no class of this name.")
        prediction = self._recent.get(verdict.id)
        saved = await asyncio.get_running_loop().run_in_executor(
            None, self._verdicts.append, prediction, verdict
        )
        return _json(VerdictSaved(saved=saved))

    async def about(self, _: Request) -> Response:
        """Return information about the network and the limits."""
        return _json(self._model_info)

    async def health(self, _: Request) -> Response:
        """Return 200 if the server and its network respond, 503 if the network is stuck."""
        if not self._service.healthy:
            raise RequestRefused(503, "stuck", "The network does not respond. Restart the server.")
        return _json(Health(status="ok"))

    async def metrics(self, _: Request) -> Response:
        """Return metrics for Prometheus."""
        return Response(self._metrics.text(), headers={"content-type": CONTENT_TYPE})

    async def openapi(self, _: Request) -> Response:
        """Return the OpenAPI document."""
        return JSONResponse(self._document)

    async def example(self, request: Request) -> Response:
        """Return an example image."""
        number = int(request.path_params["number"])
        if number >= len(self._examples.examples):
            raise HTTPException(404)
        return Response(self._examples.examples[number], media_type="image/jpeg", headers=_CACHED_FOR_A_DAY)

    def thumbnail(self, request: Request) -> Response:
        """Return a thumbnail of a museum object; Starlette calls this in a thread."""
        similar = self._service.similar_objects
        jpeg = None if similar is None else similar.thumbnail(int(request.path_params["row"]))
        if jpeg is None:
            raise HTTPException(404)
        return Response(jpeg, media_type="image/jpeg", headers=_CACHED_FOR_A_DAY)


def _page_route(*, civilisations: bool) -> Route:
    pages = {language: render_page(language, civilisations=civilisations) for language in LANGUAGES}

    async def page(request: Request) -> Response:
        chosen = choose_language(request.headers.get("accept-language", ""), request.cookies.get(COOKIE))
        headers = {
            "content-type": "text/html; charset=utf-8",
            "content-language": chosen,
            "vary": "Accept-Language, Cookie",
            "cache-control": "no-cache",
        }
        return Response(pages[chosen], headers=headers)

    return Route("/", page)


def _static_route(path: str, content: bytes) -> Route:
    kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
    content_type = f"{kind}; charset=utf-8" if kind.startswith("text/") else kind

    async def endpoint(_: Request) -> Response:
        return Response(content, headers={"content-type": content_type, "cache-control": "no-cache"})

    return Route(path, endpoint)


def _flag(request: Request, name: str) -> bool:
    value = request.query_params.get(name, "false").lower()
    if value not in ("true", "false", "1", "0"):
        raise RequestRefused(400, "bad_query", f"{name} must be true or false.")
    return value in ("true", "1")


def _json(content: BaseModel) -> Response:
    return Response(content.model_dump_json(), media_type="application/json")


async def _refused(_: Request, error: Exception) -> Response:
    if not isinstance(error, RequestRefused):
        raise error
    return error_response(error)


async def _internal_error(_: Request, __: Exception) -> Response:
    """Reveal nothing of the exception; Starlette raises it again, and uvicorn logs it."""
    return error_response(RequestRefused(500, "internal", "Internal server error."))


async def _http_error(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    code, message = _HTTP_ERRORS.get(error.status_code, ("refused", "The request was refused."))
    response = error_response(RequestRefused(error.status_code, code, message))
    response.headers.update(error.headers or {})
    return response
