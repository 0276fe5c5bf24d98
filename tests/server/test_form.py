"""The streaming form parser: any division into chunks gives the same files."""

from __future__ import annotations

import tracemalloc

import pytest

from heritage.server.form import MultipartForm
from heritage.server.schemas import RequestRefused

KIND = "multipart/form-data; boundary=edge"
CONTENT = b"\r\n--edg\r\r\n--" * 7  # almost the boundary, repeatedly


def part(disposition: str, content: bytes) -> bytes:
    return (
        b"--edge\r\nContent-Disposition: form-data; " + disposition.encode() + b"\r\n\r\n" + content + b"\r\n"
    )


WHOLE = b"".join(
    [
        part('name="a"; filename="one.jpg"', CONTENT),
        part('name="note"', b"no file"),
        part('name="a"; filename="Vase \u00e9.png"', b""),
        b"--edge--\r\n",
    ]
)


@pytest.mark.parametrize("step", [1, 2, 7, 64, 10_000])
def test_files_are_returned_unchanged(step: int) -> None:
    form = MultipartForm(KIND, max_files=2)
    for place in range(0, len(WHOLE), step):
        form.write(WHOLE[place : place + step])
    assert form.files() == [("one.jpg", CONTENT), ("Vase \u00e9.png", b"")]


@pytest.mark.parametrize(
    ("kind", "body", "status", "code"),
    [
        pytest.param("multipart/form-data", WHOLE, 400, "bad_form", id="no-boundary"),
        pytest.param(
            f"multipart/form-data; boundary={'x' * 500}", WHOLE, 400, "bad_form", id="long-boundary"
        ),
        pytest.param(KIND, b"no form", 400, "bad_form", id="no-form"),
        pytest.param(KIND, WHOLE[:-20], 400, "bad_form", id="cut-off"),
        pytest.param(KIND, part("x", b"") + b"--edge--\r\n", 400, "bad_form", id="nameless"),
        pytest.param(KIND, part('name="a"; filename="x"', b"y") * 3, 413, "too_many", id="files"),
        pytest.param(KIND, part('name="a"', b"y") * 100, 413, "too_many", id="parts"),
    ],
)
def test_malformed_forms_are_refused(kind: str, body: bytes, status: int, code: str) -> None:
    def read() -> None:
        form = MultipartForm(kind, max_files=2)
        form.write(body)
        form.files()

    with pytest.raises(RequestRefused) as caught:
        read()
    assert (caught.value.status, caught.value.code) == (status, code)


def test_file_content_is_held_in_memory_once() -> None:
    chunk, count = bytes(65_536), 128
    tracemalloc.start()
    try:
        form = MultipartForm(KIND, max_files=1)
        form.write(part('name="a"; filename="x"', b"")[:-2])
        for _ in range(count):
            form.write(chunk)
        form.write(b"\r\n--edge--\r\n")
        ((_, data),) = form.files()
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(data) == len(chunk) * count
    assert most < 1.5 * len(data)
