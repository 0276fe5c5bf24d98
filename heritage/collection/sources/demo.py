"""The demo museum: a server on loopback with generated images and the API of a real museum."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from heritage.collection.http.settings import Endpoint
from heritage.collection.sources.louvre import LouvreSource
from heritage.collection.sources.met import MetSource
from heritage.collection.sources.source import Source
from heritage.core.museums import Museum
from heritage.core.types import Fraction, PositiveInt, Seed


@dataclass(frozen=True, kw_only=True)
class DemoSource:
    """A museum that needs no network.

    Attributes:
        museum: Its code, name and licence.
        api: The museum whose API it has.
        images: Number of photographs, in the class proportions of the thesis; about three per object.
        picture_size: Side length of its photographs in pixels.
        seed: Seed of the generated objects and images.
        port: Its port on loopback; 0 for a free port.
        concurrency: Maximum number of concurrent requests.
        departments: As in `MetSource`.
        expected_yield: As in `Source`.
    """

    museum: Museum
    api: Literal["met", "louvre"]
    images: Annotated[int, Field(ge=12)]
    picture_size: Annotated[int, Field(ge=32, le=1024)]
    seed: Seed
    port: Annotated[int, Field(ge=0, le=65_535)]
    concurrency: PositiveInt
    departments: dict[int, list[str]]
    expected_yield: Fraction

    @contextlib.contextmanager
    def opened(self) -> Iterator[Source]:
        """Start the server and yield the adapter of its API."""
        from heritage.demo.collection import DemoCollection
        from heritage.demo.museum import request_handler
        from heritage.demo.server import serve

        collection = DemoCollection(images=self.images, picture_size=self.picture_size, seed=self.seed)
        with serve(request_handler(collection), port=self.port) as base:
            yield self._adapter(base)

    def _adapter(self, base: str) -> Source:
        from heritage.demo.collection import PUBLISHED

        def endpoint(path: str) -> Endpoint:
            return Endpoint(
                url=base + path, rate=None, concurrency=self.concurrency, published=PUBLISHED + path
            )

        if self.api == "louvre":
            return LouvreSource(
                hosts={"site": endpoint("")},
                allowed_hosts=[],
                allow_private=True,
                contact=None,
                expected_yield=self.expected_yield,
                museum=self.museum,
                accept_terms=True,
                skip_views=["dos", "revers", "détail"],
            )
        return MetSource(
            hosts={"api": endpoint("/public/collection"), "images": endpoint("/images")},
            allowed_hosts=[],
            allow_private=True,
            contact=None,
            expected_yield=self.expected_yield,
            museum=self.museum,
            departments=self.departments,
            csv=None,
        )
