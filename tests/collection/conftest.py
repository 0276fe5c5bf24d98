"""The demo museum of most tests, which misbehaves on demand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from heritage.demo.museum import answering
from heritage.demo.server import serve
from tests.collection.faults import FaultyMuseum
from tests.collection.held import (
    HELD,
)


@pytest.fixture
def museum() -> FaultyMuseum:
    return FaultyMuseum(answering(HELD))


@pytest.fixture
def base(museum: FaultyMuseum) -> Iterator[str]:
    with serve(museum) as url:
        yield url
