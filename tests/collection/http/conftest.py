"""A server with faults on demand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from heritage.demo.server import serve
from tests.collection.faults import FaultyMuseum
from tests.collection.http.fetching import handle


@pytest.fixture
def museum() -> FaultyMuseum:
    return FaultyMuseum(handle)


@pytest.fixture
def base(museum: FaultyMuseum) -> Iterator[str]:
    with serve(museum) as url:
        yield url
