"""Interrupted downloads of large photographs are resumed."""

from __future__ import annotations

from typing import Any

import pytest

from heritage.collection.http.body import PartBody
from heritage.collection.http.client import Client
from heritage.collection.http.errors import FetchError
from heritage.demo.server import Request, file_response
from tests.collection import faults
from tests.collection.faults import FaultyMuseum
from tests.collection.http.fetching import BIG, run


def test_an_interrupted_large_file_is_resumed(museum: FaultyMuseum, base: str, tmp_path: Any) -> None:
    museum.once("/big.jpg", faults.truncated(2_000_000))
    part = tmp_path / "1.part"

    async def do(client: Client) -> tuple[int, bytes]:
        body = PartBody(part)
        response = await client.fetch(f"{base}/big.jpg", "image", body)
        return response.status, body.in_memory()

    code, data = run(base, do)
    assert code == 206
    assert data == BIG
    first, second = (request.headers for request in museum.requests if request.path == "/big.jpg")
    assert "range" not in first
    start = int(second["range"].removeprefix("bytes=").removesuffix("-"))
    assert 1_048_576 < start <= 2_000_000


def test_a_part_is_resumed_after_a_restart(museum: FaultyMuseum, base: str, tmp_path: Any) -> None:
    museum.once("/big.jpg", faults.truncated(2_000_000))
    part = tmp_path / "1.part"

    async def do(client: Client) -> bytes:
        body = PartBody(part)
        try:
            await client.fetch(f"{base}/big.jpg", "image", body)
            return body.in_memory()
        finally:
            body.close()

    with pytest.raises(FetchError):
        run(base, do, retry_policy={"attempts": 1})
    assert part.stat().st_size > 1_048_576
    assert run(base, do) == BIG


def test_a_part_of_another_version_is_not_resumed(museum: FaultyMuseum, base: str, tmp_path: Any) -> None:
    part = tmp_path / "1.part"
    part.write_bytes(bytes(1000))
    part.with_suffix(".tag").write_text('"another version"')

    async def do(client: Client) -> tuple[int, bytes]:
        body = PartBody(part)
        response = await client.fetch(f"{base}/big.jpg", "image", body)
        return response.status, body.in_memory()

    assert run(base, do) == (200, BIG)


def test_a_part_longer_than_the_file_is_discarded(museum: FaultyMuseum, base: str, tmp_path: Any) -> None:
    part = tmp_path / "1.part"
    part.write_bytes(bytes(len(BIG) + 5))
    tag = file_response(Request("/", {}, {}), BIG, "image/jpeg").headers["ETag"]
    part.with_suffix(".tag").write_text(tag)

    async def do(client: Client) -> bytes:
        body = PartBody(part)
        await client.fetch(f"{base}/big.jpg", "image", body)
        return body.in_memory()

    assert run(base, do) == BIG
    assert museum.requested["/big.jpg"] == 2
