"""Connections to private addresses are refused."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from heritage.collection.http.client import Client
from heritage.collection.http.errors import FetchError
from heritage.collection.http.transport import is_public
from tests.collection import faults
from tests.collection.faults import FaultyMuseum
from tests.collection.http.fetching import fetch_json, run


def test_private_addresses_are_refused(museum: FaultyMuseum, base: str) -> None:
    # Plain http is refused before connecting; with https the connection is refused.
    with pytest.raises(FetchError, match="only plain https"):
        fetch_json(base, "/a", allow_private=False)
    secure = base.replace("http:", "https:")
    with pytest.raises(FetchError, match=r"private address 127\.0\.0\.1"):
        fetch_json(secure, "/a", allow_private=False)
    assert not museum.requests


def test_a_name_that_resolves_to_a_private_address_is_refused(
    museum: FaultyMuseum, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = base.rpartition(":")[2]
    looked_up = []

    async def rebound(*args: Any, **_: Any) -> list[Any]:
        # The first address is public, the second is the target of the attack.
        looked_up.append(args[1])
        return [(2, 1, 6, "", (address, int(port))) for address in ("93.184.216.34", "127.0.0.1")]

    monkeypatch.setattr(asyncio.base_events.BaseEventLoop, "getaddrinfo", rebound)
    with pytest.raises(FetchError, match=r"private address 127\.0\.0\.1"):
        fetch_json(f"https://museum.example:{port}", "/a", allow_private=False)
    assert set(looked_up) == {"museum.example"}
    assert not museum.requests


@pytest.mark.parametrize(
    ("address", "public"),
    [("8.8.8.8", True), ("10.0.0.1", False), ("127.0.0.1", False), ("169.254.169.254", False), ("::1", False),
     ("::ffff:10.0.0.1", False), ("fe80::1%eth0", False), ("100.64.0.1", False), ("224.0.0.1", False),
     ("2606:4700:4700::1111", True), ("0.0.0.0", False),  # noqa: S104
     ("2002:7f00:1::", False), ("64:ff9b::7f00:1", False)],
)  # fmt: skip
def test_public_addresses_are_recognised(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_a_server_that_closes_each_connection_costs_no_attempts(museum: FaultyMuseum, base: str) -> None:
    museum.always("/a", faults.truncated(10_000))  # the whole response, then the end of the connection

    async def do(client: Client) -> None:
        for _ in range(6):
            await asyncio.gather(*(client.json(f"{base}/{name}") for name in "abc"))
        assert [host.stats.retries for host in client.hosts.values()] == [0]

    run(base, do, retry_policy={"attempts": 1})
    assert museum.requested == {"/a": 6, "/b": 6, "/c": 6}


def test_a_server_that_never_responds_is_given_up(museum: FaultyMuseum, base: str) -> None:
    museum.always("/a", faults.reset)

    async def do(client: Client) -> None:
        await client.json(f"{base}/b")
        with pytest.raises(FetchError) as error:
            await client.json(f"{base}/a")
        assert (error.value.state, error.value.attempts) == ("failed", 2)

    run(base, do, retry_policy={"attempts": 2})
    assert 2 <= museum.requested["/a"] <= 6
