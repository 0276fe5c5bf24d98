"""Paths, sites, host names and rates that are refused; internal errors reveal nothing."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from heritage.server.middleware import RateLimit
from heritage.server.schemas import RequestRefused
from tests.server.clients import JPEG, assert_reveals_nothing, raw, send
from tests.server.running import serving


@pytest.mark.parametrize("path", ["/../../etc/passwd", "/objects/..%2f..%2fx.jpg", "/objects/-1.jpg",
    "/objects/999999999999999999999.jpg", "/examples/99.jpg", "/page/../server.py", "/%00"])  # fmt: skip
def test_other_paths_are_not_found(address: str, path: str) -> None:
    reply = raw(address, f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
    assert reply.startswith((b"HTTP/1.1 404", b"HTTP/1.1 400"))
    assert b"Traceback" not in reply


def test_other_sites_and_host_names_are_refused(address: str) -> None:
    cross_site = httpx.post(
        f"{address}/predict", files={"picture": JPEG}, headers={"sec-fetch-site": "cross-site"}
    )
    assert cross_site.status_code == 403
    assert httpx.get(f"{address}/health", headers={"host": "evil.example:80"}).status_code == 403
    assert httpx.get(f"{address}/health", headers={"host": "LOCALHOST:1"}).status_code == 200
    assert httpx.get(f"{address}/predict").status_code == 405


def test_internal_errors_reveal_nothing(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from heritage.prediction.predictor import Predictor

    with serving(run_folder, tmp_path) as address:

        def breaks(self: Predictor, images: object) -> object:
            raise RuntimeError(f"secret of {tmp_path}")

        monkeypatch.setattr(Predictor, "predict_batch", breaks)
        reply = send(address, JPEG)
        assert (reply.status_code, reply.json()["error"]["code"]) == (500, "internal")
        assert_reveals_nothing(reply)
        monkeypatch.undo()
        assert send(address, JPEG).status_code == 200


def test_the_rate_limit_refills_steadily() -> None:
    rate = RateLimit(3)
    for _ in range(3):
        rate.take("a", 0.0)
    with pytest.raises(RequestRefused) as caught:
        rate.take("a", 0.0)
    assert (caught.value.status, caught.value.retry_after) == (429, 21)
    rate.take("b", 0.0)
    rate.take("a", 21.0)
    for k in range(30_000):
        rate.take(str(k), 22.0)
    assert len(rate._buckets) <= 10_000


def test_the_rate_limit_applies_to_the_api_only(run_folder: Path, tmp_path: Path) -> None:
    with serving(run_folder, tmp_path, per_minute=2) as address:
        statuses = [send(address, JPEG).status_code for _ in range(4)]
        assert statuses == [200, 200, 429, 429]
        assert httpx.get(f"{address}/health").status_code == 200
