"""Malicious and faulty uploads: the right status, no internals in responses, nothing on the disk."""

from __future__ import annotations

import io
import struct
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from heritage.core.image_io import encode_jpeg
from heritage.server.uploads import display_name
from tests.server.clients import JPEG, assert_reveals_nothing, connect, raw, send

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'

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
