"""A hub that misbehaves: names of files elsewhere, redirects for the token, bombs, signed addresses."""

from __future__ import annotations

import gzip
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse

from heritage.core import hub_client
from heritage.core.hub import fetch, parse_address, pin
from heritage.errors import CheckpointError, ConfigError
from tests.conftest import Command
from tests.publishing.hub_double import TOKEN, HubDouble

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

COMMIT = "b" * 40
RECORD = "heritage_run.json"


class Foreign(ThreadingHTTPServer):
    """Another host, which records what it receives."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Recorder)
        self.received: list[tuple[str, str | None]] = []
        self.url = f"http://localhost:{self.server_port}"


class Recorder(BaseHTTPRequestHandler):
    server: Foreign

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.server.received.append((self.path, self.headers.get("authorization")))
        self.send_response(200)
        self.send_header("ETag", '"a"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", "2")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(b"{}")

    do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815  http.server's names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@pytest.fixture
def foreign() -> Iterator[Foreign]:
    with Foreign() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def fetched(limit: int = 1000) -> Path | None:
    address = parse_address(f"hf-hub:museum/vases@{COMMIT}", "ckpt")
    return fetch(address, RECORD, limit=limit, key="ckpt", error=CheckpointError, remedy="none")


def headers(**more: str) -> dict[str, str]:
    return {"ETag": '"a"', "X-Repo-Commit": COMMIT, "Content-Length": "2"} | {
        name.replace("_", "-"): value for name, value in more.items()
    }


@pytest.mark.parametrize("name", ["etag", "x-linked-etag"])
@pytest.mark.parametrize(
    "etag", ["../../../../victim", "{victim}", "a/b", "..", ".hidden", "", 'a"b', "x" * 999]
)
def test_an_etag_is_no_path(hub: HubDouble, tmp_path: Path, name: str, etag: str) -> None:
    victim = tmp_path / "victim"
    value = etag.replace("{victim}", str(victim))

    def fault(request: Request) -> Response:
        sent = headers() | {"x-linked-size": "2"}
        del sent["ETag"]
        return Response(
            b"{}" if request.method == "GET" else b"", headers=sent | {"ETag": '"a"', name: f'"{value}"'}
        )

    hub.fault = fault
    with pytest.raises(CheckpointError, match="an ETag that is no plain name"):
        fetched()
    assert not victim.exists()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_commit_is_no_path(hub: HubDouble, tmp_path: Path) -> None:
    hub.fault = lambda _: Response(b"", headers=headers(X_Repo_Commit="../../victim"))
    with pytest.raises(CheckpointError, match="a commit that is none"):
        pin(
            parse_address("hf-hub:museum/vases", "ckpt"),
            RECORD,
            key="ckpt",
            error=CheckpointError,
            remedy="x",
        )
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_the_token_goes_to_the_hub_alone(
    heritage: Command, hub: HubDouble, dataset: Path, foreign: Foreign, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def batch(request: Request) -> Response:
        objects = (await request.json())["objects"]
        actions = {"upload": {"href": f"{foreign.url}/put"}, "verify": {"href": f"{foreign.url}/verify"}}
        return JSONResponse({"objects": [one | {"actions": actions} for one in objects], "transfer": "basic"})

    monkeypatch.setattr(hub, "batch", batch)  # the double serves all tests
    words = ("publish", "repo=museum/vases", f"data={dataset}")
    done = heritage(*words)
    assert {path for path, _ in foreign.received} == {"/put", "/verify"}
    hub.fault = lambda request: RedirectResponse(foreign.url + request.url.path, 307)
    again = heritage(*words)
    with pytest.raises(CheckpointError):
        fetched()
    assert {token for _, token in foreign.received} == {None}
    assert f"Bearer {TOKEN}" in hub.tokens
    for outcome in (done, again):
        assert outcome.code == 2
        assert TOKEN not in outcome.out + outcome.err
        assert "HTTP Request" not in outcome.out + outcome.err  # addresses for uploads have signatures


@pytest.mark.parametrize("bars", [False, True])
def test_a_download_is_bounded_by_its_bytes(
    hub: HubDouble, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, bars: bool
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", bars)
    sent = headers()
    del sent["Content-Length"]

    def fault(request: Request) -> Response:
        if request.method == "HEAD":
            return Response(b"", headers=headers())
        return StreamingResponse((b"x" * 10_000 for _ in range(1000)), headers=sent)

    hub.fault = fault
    with pytest.raises(CheckpointError, match="more than 100,000 bytes"):
        fetched(limit=100_000)
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size > 1_000_000] == []


def test_nothing_is_decompressed(hub: HubDouble) -> None:
    body = gzip.compress(b" " * 10_000_000)

    def fault(request: Request) -> Response:
        assert request.headers["accept-encoding"] == "identity"
        more = headers(Content_Encoding="gzip", Content_Length=str(len(body)))
        return Response(b"", headers=headers()) if request.method == "HEAD" else Response(body, headers=more)

    hub.fault = fault
    with pytest.raises(CheckpointError, match="a compressed response"):
        fetched(limit=10**9)


def test_responses_of_the_api_are_bounded(
    heritage: Command, hub: HubDouble, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_client, "MAX_API_BYTES", 100_000)
    hub.fault = lambda _: StreamingResponse(b" " * 10_000 for _ in range(10_000))
    done = heritage("publish", "repo=museum/vases", f"data={dataset}")
    assert done.code == 2
    assert "more than 100,000 bytes" in done.err
    assert "Traceback" not in done.err


def test_the_token_is_not_sent_in_the_clear(hub: HubDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://mirror.example")
    with pytest.raises(ConfigError, match="in the clear; give https://<host>"):
        fetched()
    assert hub.requests == []
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(hub_client, "require_endpoint", lambda _: pytest.fail("there is no token"))
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    hub.fault = lambda _: Response(status_code=404, headers={"X-Error-Code": "EntryNotFound"})
    with pytest.raises(CheckpointError):
        fetched()


def test_guards_do_not_add_up(hub: HubDouble) -> None:
    from huggingface_hub import get_session

    for _ in range(3):
        hub_client.guard_client()
    hooks = get_session().event_hooks
    assert [sum(isinstance(hook, hub_client._Guard) for hook in hooks[name]) for name in hooks] == [1, 1]
    assert logging.getLogger(type(get_session()).__module__.partition(".")[0]).level == logging.WARNING
