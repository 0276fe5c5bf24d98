"""The demo museum used by most tests, with faults on demand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from heritage.demo.museum import request_handler
from heritage.demo.server import serve
from tests.collection.demo_collection import (
    COLLECTION,
)
from tests.collection.faults import FaultyMuseum


@pytest.fixture
def museum() -> FaultyMuseum:
    return FaultyMuseum(request_handler(COLLECTION))


@pytest.fixture
def base(museum: FaultyMuseum) -> Iterator[str]:
    with serve(museum) as url:
        yield url
