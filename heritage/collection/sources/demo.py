"""The demo museum: a server on loopback that draws its own artefacts and speaks a real museum's language."""

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
from heritage.core.types import Fraction, NonNegativeInt, PositiveInt


@dataclass(frozen=True, kw_only=True)
class DemoSource:
    """A museum that needs no network and answers to nobody's terms.

    Attributes:
        museum: Its code, name and licence.
        speaks: Whose API it imitates.
        images: How many photographs it has, in the thesis's proportions; objects have about three.
        picture_size: Pixels a side of its photographs.
        seed: Another seed is another museum.
        port: Where it listens on loopback; 0 takes a free port.
        concurrency: Requests under way at once.
        departments: As for the museum it imitates.
        expected_yield: As for the museum it imitates.
    """

    museum: Museum
    speaks: Literal["met", "louvre"]
    images: Annotated[int, Field(ge=12)]
    picture_size: Annotated[int, Field(ge=32, le=1024)]
    seed: NonNegativeInt
    port: Annotated[int, Field(ge=0, le=65_535)]
    concurrency: PositiveInt
    departments: dict[int, list[str]]
    expected_yield: Fraction

    @contextlib.contextmanager
    def opened(self) -> Iterator[Source]:
        """Start the server and yield the adapter that talks to it."""
        from heritage.demo.holdings import DemoCollection
        from heritage.demo.museum import answering
        from heritage.demo.server import serve

        collection = DemoCollection(images=self.images, picture_size=self.picture_size, seed=self.seed)
        with serve(answering(collection), port=self.port) as base:
            yield self._adapter(base)

    def _adapter(self, base: str) -> Source:
        from heritage.demo.holdings import PUBLISHED

        def endpoint(path: str) -> Endpoint:
            return Endpoint(
                url=base + path, rate=None, concurrency=self.concurrency, published=PUBLISHED + path
            )

        if self.speaks == "louvre":
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
