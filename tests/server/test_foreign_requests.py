"""Requests of other pages and greedy clients, numbers of thousands of digits, and the end of the server."""

from __future__ import annotations

import logging
import socket
import threading
import time

import httpx
import numpy as np
import pytest
import uvicorn

from heritage.core.image_io import encode_jpeg
from heritage.demo.collection import DemoCollection
from heritage.demo.museum import request_handler
from heritage.demo.server import Request, serve
from heritage.server.form import MultipartForm
from heritage.server.protocol import _network, limited_protocol
from heritage.server.schemas import RequestRefused
from heritage.server.server import listen
from tests.collection.faults import tiny_renderer
from tests.server.clients import connect, raw
from tests.server.running import running, stub_app

JPEG = encode_jpeg(np.zeros((8, 8, 3), np.uint8))
DIGITS = "9" * 5000


def post(address: str, **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.post(
        f"{address}/predict", content=JPEG, headers={"content-type": "image/jpeg"} | named
    ).status_code


def test_requests_of_pages_of_other_sites_are_refused() -> None:
    with running(stub_app()) as address:
        port = address.rpartition(":")[2]
        assert post(address) == 200  # no browser
        assert post(address, origin=address) == 200
        assert post(address, origin=f"http://localhost:{port}", host=f"LOCALHOST:{port}") == 200
        others = (
            "https://evil.example", "null", "", f"http://127.0.0.1.evil.example:{port}", "http://127.0.0.1:1",
            f"http://localhost:{port}", f"http://evil.example/?127.0.0.1:{port}",
        )  # fmt: skip
        for origin in others:
            assert post(address, origin=origin) == 403, origin
        assert post(address, sec_fetch_site="cross-site") == 403
        assert httpx.get(f"{address}/health", headers={"origin": "https://evil.example"}).status_code == 200


def test_a_page_behind_a_reverse_proxy_has_the_names_that_are_given() -> None:
    with running(stub_app(names=("museum.example.org",))) as address:
        assert post(address, host="museum.example.org", origin="https://museum.example.org") == 200
        assert post(address, origin="https://museum.example.org") == 200  # the proxy changes Host
        assert post(address, host="museum.example.org", origin="https://other.example.org") == 403


@pytest.mark.parametrize(
    "path", [f"/objects/{DIGITS}.jpg", f"/examples/{DIGITS}.jpg", "/objects/1234567890.jpg"]
)
def test_numbers_of_thousands_of_digits_are_not_found(path: str) -> None:
    with running(stub_app()) as address:
        assert httpx.get(address + path).status_code == 404
        assert httpx.get(f"{address}/examples/0.jpg").status_code == 200


def test_the_demo_museum_bounds_numbers() -> None:
    handle = request_handler(DemoCollection(images=12, picture_size=32, seed=0, renderer=tiny_renderer))
    for number in (DIGITS, "\u00b2", "\u0664"):
        assert handle(Request(f"/public/collection/v1/objects/{number}", {}, {})).status == 400
        for path in (f"/images/CRDImages/eg/original/{number}-1.jpg", f"/ark:/53355/cl{number}.json"):
            assert handle(Request(path, {}, {})).status == 404
        assert handle(Request("/public/collection/v1/objects", {"departmentIds": number}, {})).status == 200
    with serve(handle) as base:
        ids = httpx.get(f"{base}/public/collection/v1/objects").json()["objectIDs"]
        records = [httpx.get(f"{base}/public/collection/v1/objects/{number}").json() for number in ids]
        path = next(filter(None, (record["primaryImageSmall"] for record in records))).partition("demo")[2]
        assert httpx.get(base + path, headers={"range": f"bytes={DIGITS}-"}).status_code == 200
        assert httpx.get(base + path, headers={"range": "bytes=1-"}).status_code == 206


def test_one_address_cannot_take_all_connections() -> None:
    with running(stub_app(), connections=50, per_address=3) as address:
        held = [connect(address) for _ in range(3)]
        time.sleep(0.2)
        refused = raw(address, b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert refused.startswith(b"HTTP/1.1 503") or refused == b""
        assert b"Traceback" not in refused
        for connection in held:
            connection.close()
        time.sleep(0.2)
        assert httpx.get(f"{address}/health").status_code == 200


def test_addresses_are_counted_by_network_and_by_server() -> None:
    assert _network(("192.0.2.1", 5)) == "192.0.2.1"
    assert _network(("::ffff:192.0.2.1", 5, 0, 0)) == "192.0.2.1"
    assert _network(("2001:db8::1", 5, 0, 0)) == _network(("2001:db8::2:3", 5, 0, 0)) == "2001:db8::/64"
    assert _network(None) == ""
    assert limited_protocol(3).open is not limited_protocol(3).open


def test_stopping_in_the_middle_of_an_upload_leaves_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    head = (
        b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/jpeg\r\nContent-Length: 99\r\n\r\n"
    )
    with listen("127.0.0.1", 0) as listener, caplog.at_level(logging.INFO):
        config = uvicorn.Config(
            stub_app(upload_seconds=60), http=limited_protocol(None), ws="none", log_config=None,
            timeout_graceful_shutdown=1,
        )  # fmt: skip
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        with socket.create_connection(listener.getsockname()) as client:
            client.settimeout(20)
            client.sendall(head + b"some")
            time.sleep(0.2)
            server.should_exit = True  # what uvicorn's handler of SIGTERM does
            reply = b"".join(iter(lambda: client.recv(65_536), b""))
        thread.join(20)
    assert reply.startswith(b"HTTP/1.1 503")
    assert b'"stopping"' in reply
    assert [record for record in caplog.records if record.exc_info] == []
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ("name=p; filename*=UTF-8''na%C3%AFve%20vase.jpg", "naïve vase.jpg"),
        ("name=p; filename=\"x.jpg\"; filename*=utf-8'en'%e2%82%ac.jpg", "€.jpg"),
        ("name=p; filename*=iso-8859-1''%A3.jpg; filename=x.jpg", "£.jpg"),
        ("name=p; filename=x.jpg; filename*=utf-7''%2B.jpg", "x.jpg"),
        ("name=p; filename*=UTF-8''%FF.jpg", "\ufffd.jpg"),
        ("name=p; filename=\"a; filename*=UTF-8''b\"", "a; filename*=UTF-8''b"),
    ],
)
def test_extended_names_of_files_are_read(disposition: str, name: str) -> None:
    form = MultipartForm("multipart/form-data; boundary=edge", max_files=1)
    form.write(f"--edge\r\nContent-Disposition: form-data; {disposition}\r\n\r\nx\r\n--edge--\r\n".encode())
    assert form.files() == [(name, b"x")]


def test_headers_of_a_part_are_bounded() -> None:
    form = MultipartForm("multipart/form-data; boundary=edge", max_files=1)
    with pytest.raises(RequestRefused, match="malformed"):
        form.write(
            b"--edge\r\nContent-Disposition: form-data; name=" + b"x" * 20_000 + b"\r\n\r\nx\r\n--edge--\r\n"
        )


def test_a_whole_url_is_a_request_for_its_path_and_host() -> None:
    with running(stub_app()) as address:
        place = address.partition("://")[2]

        def status(target: str, host: str = place) -> int:
            head = f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
            return int(raw(address, head.encode()).split()[1])

        assert status(f"http://{place}/health") == 200
        assert status(f"HTTP://LOCALHOST/about?x=http://{place}") == 200
        assert status(f"http://{place}") == 200
        assert status(f"http://{place}/nothing") == 404
        assert status("http://evil.example/health") == 403  # as with that Host header
        assert status(f"http://{place}/health", host="evil.example") == 200
        assert status("http:///health") == 403
