"""Compressed data are bounded while they are decoded: memory, tables, archives, images."""

from __future__ import annotations

import gzip
import io
import os
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image, PngImagePlugin

from heritage.core import parquet_files
from heritage.core.bounded_read import (
    Inflater,
    TooLargeError,
    inflate,
    read_bounded,
    require_bounded_zip,
)
from heritage.core.image_io import MAX_SCANS, decode
from heritage.core.manifest import Manifest
from heritage.core.parquet_files import read_parquet
from heritage.core.table_reader import read_table
from heritage.errors import HeritageError, ImageError, ManifestError
from heritage.runs.plain_data import read_yaml

MEGABYTE = 1 << 20


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "raw deflate", "two members"])
def test_pieces_are_small_and_complete(encoding: str) -> None:
    content = os.urandom(100_000) + b" " * 5_000_000
    if encoding in ("gzip", "two members"):
        half = len(content) // 2
        data = gzip.compress(content)
        if encoding == "two members":
            data = gzip.compress(content[:half]) + gzip.compress(content[half:])
    else:
        data = zlib.compress(content)[2:-4] if encoding == "raw deflate" else zlib.compress(content)
    inflater = Inflater("gzip" if encoding in ("gzip", "two members") else "deflate")
    pieces = [
        piece for start in range(0, len(data), 1000) for piece in inflater.decode(data[start : start + 1000])
    ]
    assert b"".join(pieces) == content
    assert max(map(len, pieces)) <= 65_536
    assert inflater.complete


def test_data_that_are_cut_short_are_not_complete() -> None:
    inflater = Inflater("gzip")
    list(inflater.decode(gzip.compress(os.urandom(1000))[:-1]))
    assert not inflater.complete
    with pytest.raises(zlib.error):
        list(Inflater("gzip").decode(b"no gzip"))


def test_inflating_stops_at_the_limit() -> None:
    assert inflate(zlib.compress(b"a" * 100), 100) == b"a" * 100
    bomb = zlib.compress(b" " * (50 * MEGABYTE), 9)
    tracemalloc.start()
    with pytest.raises(TooLargeError):
        inflate(bomb, MEGABYTE)
    assert tracemalloc.get_traced_memory()[1] < 4 * MEGABYTE
    tracemalloc.stop()
    with pytest.raises(zlib.error, match="incomplete"):
        inflate(zlib.compress(b"a" * 100)[:-1], 100)


def test_files_are_regular_and_bounded(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"123")
    assert read_bounded(tmp_path / "a", 3) == b"123"
    with pytest.raises(TooLargeError, match="3 bytes are more than 2"):
        read_bounded(tmp_path / "a", 2)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        read_bounded(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    with pytest.raises(OSError, match="not a regular file"):
        read_bounded(tmp_path / "zero")


def test_parquet_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pa.table({"file": ["x" * 10_000] * 20_000, "class": ["a"] * 20_000})
    path = tmp_path / "manifest.parquet"
    pq.write_table(table, path, compression="zstd")
    assert path.stat().st_size < 100_000
    assert read_parquet(path).num_rows == 20_000
    monkeypatch.setattr(parquet_files, "_FREE", 50 * MEGABYTE)
    with pytest.raises(TooLargeError):
        read_parquet(path)
    (tmp_path / "dataset.json").write_text('{"classes": ["a"]}')
    with pytest.raises(ManifestError, match="the table becomes larger than"):
        Manifest.read(tmp_path)


def test_archives_are_bounded(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("sheet.xml", b" " * (10 * MEGABYTE))
    require_bounded_zip(tmp_path / "a.zip", 10 * MEGABYTE)
    with pytest.raises(TooLargeError):
        require_bounded_zip(tmp_path / "a.zip", 10 * MEGABYTE - 1)


def test_an_excel_table_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(["file", "class"])
    book.active.append(["a.jpg", "islam"])
    book.save(tmp_path / "t.xlsx")
    assert read_table(tmp_path / "t.xlsx").to_pylist() == [{"file": "a.jpg", "class": "islam"}]
    monkeypatch.setattr("heritage.core.excel_sheets.MAX_SHEET_BYTES", 1000)
    with pytest.raises(ManifestError, match=r"the archive becomes .* bytes, more than 1,000"):
        read_table(tmp_path / "t.xlsx")


def png_with_text() -> bytes:
    """A PNG whose compressed text becomes 20 MB."""
    info = PngImagePlugin.PngInfo()
    info.add(b"zTXt", b"Comment\0\0" + zlib.compress(b" " * (20 * MEGABYTE), 9))
    target = io.BytesIO()
    Image.new("RGB", (64, 64)).save(target, "PNG", pnginfo=info)
    return target.getvalue()


def png_with_pixels() -> bytes:
    """A PNG of 20,000 × 20,000 pixels in some kilobytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(bytes(MEGABYTE)))
        + chunk(b"IEND", b"")
    )


def tiff_with_tiles() -> bytes:
    """A TIFF of 16 × 16 pixels in one tile of 30,000 × 30,000."""
    data = zlib.compress(bytes(1000))
    tags = [
        (256, 3, 16), (257, 3, 16), (258, 3, 8), (259, 3, 8), (262, 3, 1), (277, 3, 1),
        (322, 4, 30_000), (323, 4, 30_000), (324, 4, 8), (325, 4, len(data)),
    ]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)
    return struct.pack("<2sHI", b"II", 42, 8 + len(data)) + data + directory


def jpeg_with_scans(count: int) -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (64, 64)).save(target, "JPEG", progressive=True)
    data = target.getvalue()
    start = data.rindex(b"\xff\xda")
    return data[:start] + data[start:-2] * count + b"\xff\xd9"


def animation(kind: str) -> bytes:
    frames = [Image.new("RGB", (64, 64), (n, 0, 0)) for n in range(100)]
    target = io.BytesIO()
    frames[0].save(target, kind, save_all=True, append_images=frames[1:])
    return target.getvalue()


@pytest.mark.parametrize(
    "make", [png_with_text, png_with_pixels, tiff_with_tiles, lambda: jpeg_with_scans(MAX_SCANS + 1)],
    ids=["text", "pixels", "tiles", "scans"],
)  # fmt: skip
def test_bombs_are_refused_with_little_memory(make: Callable[[], bytes]) -> None:
    data = make()
    tracemalloc.start()
    with pytest.raises(ImageError):
        decode(data)
    assert tracemalloc.get_traced_memory()[1] < 8 * MEGABYTE
    tracemalloc.stop()


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "PNG", "WEBP"])
def test_of_several_frames_the_first_is_decoded(kind: str) -> None:
    assert decode(animation(kind)).shape == (64, 64, 3)


def test_scans_are_counted_in_the_image_alone() -> None:
    data = jpeg_with_scans(3)
    trailing = data + b"\xff\xda\x00\x02" * 500  # a film behind the photograph, as telephones write it
    assert decode(trailing).shape == (64, 64, 3)
    comment = b"\xff\xfe" + struct.pack(">H", 2002) + b"\xff\xda" * 1000
    assert np.array_equal(decode(data[:2] + comment + data[2:]), decode(data))


def test_the_error_names_the_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    from heritage.prediction.image_input import read_file

    with pytest.raises(HeritageError, match=r"pipe\.jpg: not a regular file; check the path"):
        read_file(tmp_path / "pipe.jpg")


@pytest.mark.parametrize("read", [read_yaml, read_parquet, read_table, read_bounded])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_pipes_and_devices_are_not_waited_for(
    tmp_path: Path, read: Callable[[Path], object], kind: str
) -> None:
    path = tmp_path / "config.yaml"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    with pytest.raises((OSError, ManifestError), match=r"not a regular file|Is a directory"):
        read(path)
