"""Under load memory is bounded, and a full or stuck server returns 503."""

from __future__ import annotations

import asyncio
import re
import resource
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.server.clients import JPEG, connect, metrics, send
from tests.server.running import serving


def test_two_hundred_clients_besides_slow_ones(address: str) -> None:
    slow = []
    for _ in range(60):
        connection = connect(address)
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/jpeg\r\n"
                           b"Content-Length: 1000000\r\n\r\n" + bytes(1000))  # fmt: skip
        slow.append(connection)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    async def send_all() -> list[int]:
        limits = httpx.Limits(max_connections=200)
        async with httpx.AsyncClient(timeout=60, limits=limits) as client:
            replies = await asyncio.gather(
                *(client.post(f"{address}/predict", files={"picture": JPEG}) for _ in range(200))
            )
        return [reply.status_code for reply in replies]

    statuses = asyncio.run(send_all())
    assert set(statuses) <= {200, 503}
    assert statuses.count(200) >= 150
    for connection in slow:
        connection.close()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < 400, f"{grown} MiB"
    deadline = time.monotonic() + 10
    while not re.search(r"^heritage_upload_bytes_held 0\.0$", metrics(address), re.MULTILINE):
        assert time.monotonic() < deadline, "uploads stay in memory"
        time.sleep(0.1)


def test_full_memory_and_a_full_queue_are_503(run_folder: Path, tmp_path: Path) -> None:
    with serving(run_folder, tmp_path, held_megabytes=4, waiting=2, upload_seconds=5) as address:
        hog = connect(address)
        hog.sendall(b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/jpeg\r\n"
                    b"Content-Length: 3999999\r\n\r\n" + bytes(3_999_000))  # fmt: skip
        deadline = time.monotonic() + 5
        while "heritage_upload_bytes_held 3.999" not in metrics(address):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        reply = send(address, JPEG)
        assert (reply.status_code, reply.json()["error"]["code"]) == (503, "busy")
        assert int(reply.headers["retry-after"]) > 0
        hog.close()
        while "heritage_upload_bytes_held 0.0" not in metrics(address):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert send(address, JPEG).status_code == 200
        files = [("picture", ("x.jpg", JPEG, "image/jpeg"))] * 3
        assert httpx.post(f"{address}/predict", files=files).status_code == 503


def test_a_stuck_network_is_503(run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from heritage.prediction.batch_prediction import BatchPrediction
    from heritage.prediction.predictor import Predictor

    release = threading.Event()

    with serving(run_folder, tmp_path, response_seconds=0.3) as address:

        def hangs(self: Predictor, images: object) -> BatchPrediction:
            release.wait(60)  # a fixed sleep would race with the start of the client
            raise AssertionError("its result is discarded")

        monkeypatch.setattr(Predictor, "predict_batch", hangs)
        reply = send(address, JPEG)
        assert (reply.status_code, reply.json()["error"]["code"]) == (503, "too_slow")
        health = httpx.get(f"{address}/health")
        assert (health.status_code, health.json()["error"]["code"]) == (503, "stuck")
        release.set()
        deadline = time.monotonic() + 30
        while httpx.get(f"{address}/health").status_code != 200:
            assert time.monotonic() < deadline, "the server does not recover"
            time.sleep(0.1)
