"""The web application: one page, one question (`POST /predict`), and what watches over a server."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Collection
from importlib import resources

from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from heritage.server.examples import ExampleImages
from heritage.server.limits import MEGABYTE, Limits
from heritage.server.metrics import CONTENT_TYPE, Metrics
from heritage.server.middleware import RateLimit, SecurityMiddleware, refusal_reply
from heritage.server.openapi import openapi
from heritage.server.schemas import Health, ModelInfo, PredictionResponses, RequestRefused
from heritage.server.service import PredictionService
from heritage.server.uploads import Memory, uploads

_PAGE = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
_A_DAY = {"cache-control": "private, max-age=86400"}
_WORDS = {
    404: ("not_found", "There is nothing under this address."),
    405: ("method_not_allowed", "This address is asked otherwise: see /openapi.json."),
}


def application(
    desk: PredictionService,
    exhibits: ExampleImages,
    about: ModelInfo,
    limits: Limits,
    metrics: Metrics,
    *,
    hosts: Collection[str] | None,
) -> ASGIApp:
    """Return the application.

    Args:
        desk: Answers.
        exhibits: Pictures that the server shows by itself.
        about: What the page says of the network.
        limits: What is accepted.
        metrics: What is counted.
        hosts: Names under which the server may be asked; None allows all.
    """
    site = Site(desk, exhibits, about, limits, metrics)
    routes = [
        Route("/predict", site.predict, methods=["POST"]),
        Route("/about", site.about),
        Route("/health", site.health),
        Route("/metrics", site.figures),
        Route("/openapi.json", site.described),
        Route("/examples/{number:int}.jpg", site.example),
        Route("/objects/{row:int}.jpg", site.thumbnail),
        *(_page_route(path, *what) for path, what in _PAGE.items()),
    ]

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        desk.start()
        yield
        await desk.stop()

    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        exception_handlers={RequestRefused: _refusal, HTTPException: _http_refusal, Exception: _internal},
    )
    paths = [route.path for route in routes]
    return SecurityMiddleware(
        app, hosts=hosts, rate=RateLimit(limits.per_minute), metrics=metrics, paths=paths
    )


class Site:
    """What each address answers.

    Args:
        desk: Answers.
        exhibits: Pictures that the server shows by itself.
        about: What the page says of the network.
        limits: What is accepted.
        metrics: What is counted.
    """

    def __init__(
        self,
        desk: PredictionService,
        exhibits: ExampleImages,
        about: ModelInfo,
        limits: Limits,
        metrics: Metrics,
    ) -> None:
        self._desk = desk
        self._exhibits = exhibits
        self._about = about
        self._limits = limits
        self._metrics = metrics
        self._memory = Memory(int(limits.held_megabytes * MEGABYTE))
        self._document = openapi(limits)
        metrics.watch("heritage_pictures_inside", "Pictures being answered or waiting", lambda: desk.inside)
        metrics.watch("heritage_upload_bytes_held", "Bytes of uploads in memory", lambda: self._memory.held)

    async def predict(self, request: Request) -> Response:
        """Answer for the pictures of a request."""
        saliency, similar = (_flag(request, name) for name in ("saliency", "similar"))
        try:
            async with uploads(request, self._limits, self._memory) as found:
                answers = await self._desk.answer(found, saliency=saliency, similar=similar)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        return _json(PredictionResponses(calibration=self._about.calibration, pictures=answers))

    async def about(self, _: Request) -> Response:
        """Say what the page shows of the network."""
        return _json(self._about)

    async def health(self, _: Request) -> Response:
        """Say that the server is up, and that its network still answers."""
        if not self._desk.answers:
            raise RequestRefused(503, "stuck", "The network does not answer. Start the server again.")
        return _json(Health(status="ok"))

    async def figures(self, _: Request) -> Response:
        """Say what was counted."""
        return Response(self._metrics.text(), headers={"content-type": CONTENT_TYPE})

    async def described(self, _: Request) -> Response:
        """Give the OpenAPI document."""
        return JSONResponse(self._document)

    async def example(self, request: Request) -> Response:
        """Give an example picture."""
        number = int(request.path_params["number"])
        if number >= len(self._exhibits.examples):
            raise HTTPException(404)
        return Response(self._exhibits.examples[number], media_type="image/jpeg", headers=_A_DAY)

    def thumbnail(self, request: Request) -> Response:
        """Give a small picture of an object, decoded in a thread of Starlette's."""
        picture = self._exhibits.thumbnail(int(request.path_params["row"]))
        if picture is None:
            raise HTTPException(404)
        return Response(picture, media_type="image/jpeg", headers=_A_DAY)


def _page_route(path: str, name: str, kind: str) -> Route:
    content = resources.files("heritage.server").joinpath("static", name).read_bytes()

    async def page(_: Request) -> Response:
        return Response(content, headers={"content-type": kind, "cache-control": "no-cache"})

    return Route(path, page)


def _flag(request: Request, name: str) -> bool:
    value = request.query_params.get(name, "false").lower()
    if value not in ("true", "false", "1", "0"):
        raise RequestRefused(400, "bad_query", f"{name} is true or false.")
    return value in ("true", "1")


def _json(reply: BaseModel) -> Response:
    return Response(reply.model_dump_json(), media_type="application/json")


async def _refusal(_: Request, error: Exception) -> Response:
    if not isinstance(error, RequestRefused):
        raise error
    return refusal_reply(error)


async def _internal(_: Request, __: Exception) -> Response:
    """Say nothing of a fault of ours; Starlette raises it again, and uvicorn logs it."""
    return refusal_reply(RequestRefused(500, "internal", "Something went wrong here."))


async def _http_refusal(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    code, message = _WORDS.get(error.status_code, ("refused", "This request cannot be answered."))
    reply = refusal_reply(RequestRefused(error.status_code, code, message))
    reply.headers.update(error.headers or {})
    return reply
