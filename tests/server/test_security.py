"""Malicious and faulty clients: the right status, no internals in responses, bounded memory."""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
import resource
import socket
import struct
import tempfile
import threading
import time
import zlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from PIL import Image

from heritage.core.image_io import encode_jpeg
from heritage.server.middleware import RateLimit
from heritage.server.schemas import RequestRefused
from heritage.server.uploads import display_name
from tests.conftest import patch
from tests.server.running import running, serving

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
JPEG = encode_jpeg(patch(0, 0))
NAMELESS = b"--a\r\nContent-Disposition: form-data\r\n\r\nx"


def png(width: int, height: int, rows: int = 0) -> bytes:
    """Return a PNG with a size in its header and some black rows: a decompression bomb is small."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pixels = zlib.compress(bytes((3 * width + 1) * rows), 9)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def saved(kind: str, size: tuple[int, int] = (50, 40)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, "red").save(file, kind)
    return file.getvalue()


def many_scans(count: int) -> bytes:
    """Return a JPEG whose last scan is repeated: a decoder processes all pixels for each."""
    file = io.BytesIO()
    Image.new("RGB", (400, 400), "red").save(file, "JPEG", progressive=True)
    whole = file.getvalue()
    last = whole.rindex(b"\xff\xda")
    return whole[:last] + whole[last:-2] * count + whole[-2:]


@pytest.fixture(scope="module")
def address(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(run_folder, tmp_path_factory.mktemp("cache")) as address:
        yield address


def send(address: str, data: bytes, name: str = "x.jpg", kind: str = "image/jpeg") -> httpx.Response:
    return httpx.post(f"{address}/predict", files={"picture": (name, data, kind)}, timeout=30)


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        pytest.param(png(30_000, 30_000), 413, "too_many_pixels", id="bomb-in-header"),
        pytest.param(png(200_000, 200_000), 413, "too_many_pixels", id="bomb-beyond-pillow"),
        pytest.param(png(6_000, 3_400, 3_400), 413, "too_many_pixels", id="bomb-real"),
        pytest.param(saved("PNG", (900, 900))[:-400], 422, "damaged", id="png-cut"),
        pytest.param(JPEG[: len(JPEG) // 2], 422, "damaged", id="jpeg-cut"),
        pytest.param(JPEG[:20], 415, "not_a_picture", id="jpeg-header-only"),
        pytest.param(saved("WEBP")[:40], 422, "damaged", id="webp-cut"),
        pytest.param(b"\x89PNG\r\n\x1a\n" + bytes(100), 415, "not_a_picture", id="png-without-chunks"),
        pytest.param(many_scans(20_000), 422, "damaged", id="jpeg-of-many-scans"),
        pytest.param(SVG, 415, "not_a_picture", id="svg"),
        pytest.param(b"%PDF-1.7\n1 0 obj", 415, "not_a_picture", id="pdf"),
        pytest.param(b"%!PS-Adobe-3.0 EPSF-3.0\n", 415, "not_a_picture", id="eps"),
        pytest.param(saved("ICO"), 415, "not_a_picture", id="unsupported-format"),
        pytest.param(b"\x00" * 1000, 415, "not_a_picture", id="zeros"),
        pytest.param(b"PK\x03\x04" + JPEG, 415, "not_a_picture", id="zip-then-jpeg"),
        pytest.param(b"", 400, "no_picture", id="empty"),
    ],
)
def test_bad_images_are_refused_with_their_status(address: str, data: bytes, status: int, code: str) -> None:
    reply = send(address, data)
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)
    assert_reveals_nothing(reply)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(JPEG + b"<script>alert(1)</script>", id="jpeg-then-script"),
        pytest.param(JPEG + b"PK\x03\x04" + bytes(50), id="jpeg-then-zip"),
        pytest.param(saved("GIF") + b"/*';alert(1)//", id="gif-then-script"),
        pytest.param(saved("PNG", (1, 1)), id="one-pixel"),
        pytest.param(saved("JPEG", (4_000, 1)), id="a-line"),
    ],
)
def test_polyglot_files_are_only_decoded(address: str, data: bytes) -> None:
    """Their bytes are never sent back."""
    reply = send(address, data, "x.html", "text/html")
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/json"
    assert b"alert" not in reply.content


@pytest.mark.parametrize(
    ("headers", "content", "status"),
    [
        ({"content-type": "application/json"}, b"{}", 415),
        ({}, b"x", 415),
        ({"content-type": "multipart/form-data"}, b"x", 400),
        ({"content-type": "multipart/form-data; boundary=a"}, b"no form", 400),
        ({"content-type": "multipart/form-data; boundary=a"}, NAMELESS, 400),
        ({"content-type": "multipart/form-data; boundary=a; charset=nonsense"}, b"--a--\r\n", 400),
        ({"content-type": "image/jpeg", "content-length": "5000000"}, b"", 413),
        ({"content-type": "image/jpeg"}, bytes(5_000_000), 413),
    ],
)  # fmt: skip
def test_bad_requests_are_refused_with_their_status(
    address: str, headers: dict[str, str], content: bytes, status: int
) -> None:
    if headers.get("content-length") == "5000000":
        assert raw(address, b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/jpeg\r\n"
                            b"Content-Length: 5000000\r\n\r\n").startswith(b"HTTP/1.1 413")  # fmt: skip
        return
    reply = httpx.post(f"{address}/predict", headers=headers, content=content)
    assert reply.status_code == status
    assert_reveals_nothing(reply)


def test_a_client_that_is_still_sending_receives_the_error(address: str) -> None:
    """Closing at once would reset the connection, and a browser would report an unreachable server."""
    head = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/jpeg\r\n"
    for announced in (b"Content-Length: 20000000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n1312d00\r\n"):
        with connect(address) as connection:
            connection.sendall(head + announced)
            for _ in range(200):
                connection.sendall(bytes(100_000))
            assert connection.recv(65_536).startswith(b"HTTP/1.1 413")


def test_an_endless_upload_is_refused(address: str) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(1000):
            yield bytes(100_000)

    headers = {"content-type": "image/jpeg"}
    try:
        status = httpx.post(f"{address}/predict", content=endless(), headers=headers).status_code
    except httpx.TransportError:
        return  # the connection was closed during the upload
    assert status == 413


def test_too_many_images_are_refused(address: str) -> None:
    files = [("picture", ("x.jpg", JPEG, "image/jpeg"))] * 6
    reply = httpx.post(f"{address}/predict", files=files)
    assert (reply.status_code, reply.json()["error"]["code"]) == (413, "too_many")
    hundreds = [("picture", ("x.jpg", b"x", "image/jpeg"))] * 500
    assert httpx.post(f"{address}/predict", files=hundreds).status_code == 413


@pytest.mark.parametrize(
    ("name", "displayed"),
    [
        ("../../etc/passwd", "passwd"),
        ("..\\..\\windows\\win.ini", "win.ini"),
        ("/", "picture"),
        ("a\x00b\r\nc.jpg", "abc.jpg"),
        ("gpj.\u202eexe", "gpj.exe"),
        ("x" * 5000, "x" * 120),
        ("<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"),
        (None, "picture"),
    ],
)
def test_names_lose_folders_and_control_characters(name: str | None, displayed: str) -> None:
    assert display_name(name) == displayed


def test_uploads_are_not_written_to_disk(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))  # temporary files cannot be created
    noise = np.random.default_rng(0).integers(0, 255, (1200, 800, 3), dtype=np.uint8)
    large = encode_jpeg(noise, quality=98)
    assert len(large) > 1_000_000
    reply = send(address, large, "../../../tmp/evil.jpg")
    assert reply.status_code == 200
    assert reply.json()["pictures"][0]["name"] == "evil.jpg"


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


def test_huge_headers_are_refused(address: str) -> None:
    for headers in (b"X: " + b"a" * 200_000, b"".join(b"X%d: a\r\n" % k for k in range(20_000))):
        reply = raw(address, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + headers + b"\r\n\r\n")
        assert reply[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 431", b"")
    assert httpx.get(f"{address}/health").status_code == 200


def test_slow_uploads_and_silent_connections_time_out(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("heritage.server.protocol.HEADER_SECONDS", 1.0)
    head = (
        b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/jpeg\r\nContent-Length: 9\r\n\r\n"
    )
    began = time.monotonic()
    assert raw(address, head + b"12").startswith(b"HTTP/1.1 408")
    assert 1.5 < time.monotonic() - began < 6
    began = time.monotonic()
    assert raw(address, b"GET / HT") == b""
    assert time.monotonic() - began < 5


def test_later_headers_and_the_rest_of_a_refused_upload_time_out(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("heritage.server.protocol.HEADER_SECONDS", 1.0)
    accepted = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    refused = (
        b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\n"
        b"Content-Length: 1000000\r\n\r\n"
    )
    for head, status in ((accepted, b"200"), (refused, b"415")):
        with connect(address) as connection:
            connection.sendall(head)
            assert connection.recv(65_536)[9:12] == status
            began = time.monotonic()
            with pytest.raises(ConnectionError):  # noqa: PT012  a byte from time to time
                while time.monotonic() - began < 10:
                    connection.sendall(b"G")
                    time.sleep(0.2)
            assert time.monotonic() - began < 4


def test_a_client_that_does_not_read_is_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("heritage.server.protocol.WRITE_SECONDS", 0.5)
    length = 30_000_000
    lengths = [(b"content-length", str(length).encode())]

    async def app(scope: dict[str, object], receive: object, send: Callable[..., Awaitable[None]]) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": lengths})
            await send({"type": "http.response.body", "body": bytes(length)})

    with running(app) as address, connect(address) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        time.sleep(2)
        taken = 0
        with contextlib.suppress(ConnectionError):
            while chunk := connection.recv(1_000_000):
                taken += len(chunk)
        assert taken < length


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
    from heritage.prediction.predictor import BatchPrediction, Predictor

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


def test_connections_are_limited() -> None:
    async def app(scope: object, receive: object, send: object) -> None:
        raise AssertionError("no request reaches it")

    with running(app, connections=5) as address:
        held = [connect(address) for _ in range(6)]
        time.sleep(0.3)
        assert raw(address, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").startswith(b"HTTP/1.1 503")
        for connection in held:
            connection.close()


def assert_reveals_nothing(reply: httpx.Response) -> None:
    for internal in (tempfile.gettempdir(), "Traceback", "/work", ".py", "0x", "PIL", "secret"):
        assert internal not in reply.text


def metrics(address: str) -> str:
    return httpx.get(f"{address}/metrics").text


def connect(address: str) -> socket.socket:
    place = urlsplit(address)
    connection = socket.create_connection((place.hostname, place.port), timeout=20)
    connection.settimeout(20)
    return connection


def raw(address: str, data: bytes) -> bytes:
    """Send bytes and return the first bytes of the response; nothing if the server closes the connection."""
    with connect(address) as connection:
        try:
            connection.sendall(data)
            return connection.recv(65_536)
        except ConnectionError:
            return b""
