"""Downloads from the hub are bounded, and come from one commit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from heritage.core.hub import HubAddress, fetch, parse_address, pin
from heritage.errors import WeightsError
from tests.publishing.hub_double import TOKEN, CutResponse, HubDouble, Repository

COMMIT = "c" * 40
ADDRESS = HubAddress("museum/vases", COMMIT)


def get(limit: int = 1000, *, required: bool = True) -> Path | None:
    return fetch(
        ADDRESS,
        "model.safetensors",
        limit=limit,
        key="model.weights",
        error=WeightsError,
        remedy="the ways out",
        required=required,
    )


@pytest.fixture
def vases(hub: HubDouble) -> HubDouble:
    hub.repositories["models/museum/vases"] = Repository(
        False, {"main": [(COMMIT, {"model.safetensors": b"x" * 500})]}
    )
    return hub


def test_a_file_larger_than_its_bound_is_not_downloaded(vases: HubDouble) -> None:
    with pytest.raises(WeightsError, match=r"model\.safetensors has 500 bytes; at most 499 are read"):
        get(499)
    assert not [request for request in vases.requests if request.startswith("GET")]
    path = get(500)
    assert path is not None
    assert path.read_bytes() == b"x" * 500


def test_more_bytes_than_announced_end_the_download(vases: HubDouble, tmp_path: Path) -> None:
    sent = 0

    def endless(request: Request) -> Response | None:
        if request.method != "GET":
            return None

        async def body() -> object:
            nonlocal sent
            for _ in range(200):
                sent += 1 << 20
                yield b"x" * (1 << 20)

        return StreamingResponse(body(), headers={"X-Repo-Commit": COMMIT})  # type: ignore[arg-type]

    vases.fault = endless
    with pytest.raises(WeightsError) as caught:
        get()
    assert "more than 1,000 bytes" in str(caught.value)
    assert sum(path.stat().st_size for path in (tmp_path / "cache").rglob("*") if path.is_file()) < 64 << 20


def test_a_cut_download_is_one_line_and_continues(vases: HubDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)  # its client waits before it resumes
    vases.fault = lambda request: CutResponse(b"x" * 100, 500) if request.method == "GET" else None
    with pytest.raises(WeightsError, match="the ways out") as caught:
        get()
    assert "\n" not in str(caught.value)
    assert TOKEN not in str(caught.value)
    vases.fault = None
    assert get() is not None


@pytest.mark.parametrize(("status", "words"), [(401, "token"), (403, "token"), (429, "rate"), (500, "fails")])
def test_faults_are_explained(vases: HubDouble, status: int, words: str) -> None:
    vases.fail("/resolve/", status)
    with pytest.raises(WeightsError, match=words) as caught:
        get()
    assert str(caught.value).startswith(f"model.weights=hf-hub:museum/vases@{COMMIT}: ")


def test_a_branch_is_pinned_to_its_commit(vases: HubDouble) -> None:
    address = parse_address("hf-hub:museum/vases@main", "ckpt")
    pinned = pin(address, "model.safetensors", key="ckpt", error=WeightsError, remedy="")
    assert str(pinned) == f"hf-hub:museum/vases@{COMMIT}"
    assert pinned.is_pinned
    assert not address.is_pinned


def test_a_file_that_is_not_required_may_be_absent(vases: HubDouble) -> None:
    del vases.repositories["models/museum/vases"].branches["main"][-1][1]["model.safetensors"]
    assert get(required=False) is None
    with pytest.raises(WeightsError, match=r"the repository has no model\.safetensors"):
        get()


def test_publishing_a_data_set_imports_no_torch() -> None:
    modules = "heritage.publishing.photographs, heritage.publishing.publish"
    script = f"import sys, {modules}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
