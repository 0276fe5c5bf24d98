"""ImageNet weights through a hub on loopback: fetched once, then from the cache, or refused at once."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import timm
import torch
from huggingface_hub import constants

from heritage.errors import ConfigError, WeightsError
from heritage.models.backbone import timm_network
from heritage.models.hub import fetch_weights

NAME = "test_resnet.r160_in1k"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """Serves files as the hub does, and records the requests."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = files
        self.requests: list[str] = []


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self.reply(body=False)

    def do_GET(self) -> None:
        self.reply(body=True)

    def reply(self, *, body: bool) -> None:
        self.server.requests.append(f"{self.command} {self.path}")
        content = self.server.files.get(self.path.rpartition("/")[2])
        self.send_response(200 if content is not None else 404)
        self.send_header("X-Repo-Commit", COMMIT)
        if content is None:
            self.send_header("X-Error-Code", "EntryNotFound")
        else:
            self.send_header("ETag", '"1"')
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        if body and content is not None:
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


def point_to(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = f"http://127.0.0.1:{port}"
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    )


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    state: dict[str, torch.Tensor] = timm.create_model(NAME).state_dict()
    return state


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.fixture
def hub(state: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Hub({"model.safetensors": safetensors.torch.save(state)}) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        point_to(server.server_address[1], monkeypatch)
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def closed_port(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        point_to(probe.getsockname()[1], monkeypatch)

    def no_waiting(seconds: float) -> None:
        raise AssertionError(f"waits {seconds} s for a hub that cannot be reached")

    monkeypatch.setattr(time, "sleep", no_waiting)


def build(weights: str = "imagenet", name: str = NAME) -> Any:
    return timm_network(
        name=name,
        weights=weights,
        drop_rate=None,
        drop_path_rate=None,
        grad_checkpointing=False,
        num_classes=6,
        image_size=64,
    )


def test_downloads_once_and_then_sends_no_request(
    hub: Hub, cache: Path, state: dict[str, torch.Tensor]
) -> None:
    file = fetch_weights(NAME)
    assert file.is_relative_to(cache)
    assert f"GET /timm/{NAME}/resolve/main/model.safetensors" in hub.requests
    hub.requests.clear()
    loaded = build().state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in state.items() if not key.startswith("fc."))
    assert hub.requests == []


def test_the_cached_file_and_imagenet_are_the_same(hub: Hub) -> None:
    torch.manual_seed(1)
    by_name = build().state_dict()
    torch.manual_seed(1)
    by_path = build(str(fetch_weights(NAME))).state_dict()
    assert all(torch.equal(by_name[key], value) for key, value in by_path.items())


def test_falls_back_to_the_torch_file(hub: Hub) -> None:
    hub.files = {"pytorch_model.bin": b"weights"}
    assert fetch_weights(NAME).read_bytes() == b"weights"


def test_a_repository_without_weights_is_an_error(hub: Hub) -> None:
    hub.files = {}
    with pytest.raises(WeightsError, match=r"has none of model\.safetensors, pytorch_model\.bin"):
        fetch_weights(NAME)


@pytest.mark.usefixtures("closed_port")
def test_an_unreachable_hub_fails_immediately_with_three_remedies(cache: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        build()
    message = str(caught.value)
    assert f"not in {cache}" in message
    assert f"heritage weights model=timm model.name={NAME}" in message
    assert "model.weights=<file> (safetensors, or checkpoints/best.ckpt of a run" in message
    assert "model.weights=none" in message
    assert "\n" not in message


@pytest.mark.usefixtures("closed_port")
def test_offline_mode_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match="HF_HUB_OFFLINE is set"):
        fetch_weights(NAME)


def test_a_name_without_tag_is_ambiguous() -> None:
    with pytest.raises(ConfigError, match=r"add its tag: .*efficientnet_b0\.ra_in1k"):
        fetch_weights("efficientnet_b0")


def test_networks_missing_on_the_hub_are_named() -> None:
    with pytest.raises(WeightsError, match=r"no weights but at https://.*senet154"):
        fetch_weights("legacy_senet154.in1k")
    with pytest.raises(WeightsError, match="there are no weights; give model"):
        fetch_weights("vit_small_patch16_18x2_224")
