"""robots.txt is obeyed."""

from __future__ import annotations

import pytest

from heritage.collection.http.errors import FetchError
from tests.collection import faults
from tests.collection.faults import FaultyMuseum
from tests.collection.http.fetching import fetch_json


def test_robots_txt_is_obeyed(museum: FaultyMuseum, base: str) -> None:
    with pytest.raises(FetchError, match=r"robots\.txt"):
        fetch_json(base, "/private/a")
    assert [request.path for request in museum.requests] == ["/robots.txt"]


def test_an_unavailable_robots_txt_disallows_everything(museum: FaultyMuseum, base: str) -> None:
    museum.always("/robots.txt", faults.status(500))
    with pytest.raises(FetchError, match="cannot be fetched"):
        fetch_json(base, "/a")
    assert museum.requested["/a"] == 0


def test_a_missing_robots_txt_allows_everything(museum: FaultyMuseum, base: str) -> None:
    museum.always("/robots.txt", faults.status(404))
    assert fetch_json(base, "/private/a") == {"path": "/private/a"}
