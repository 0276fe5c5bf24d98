"""Read the fonts and drawing commands of a PDF that Matplotlib wrote."""

from __future__ import annotations

import re
import zlib
from pathlib import Path

_CONTENTS = re.compile(rb"/Contents (\d+) 0 R")
_OBJECT = re.compile(rb"(\d+) 0 obj\n(.*?)\nendobj", re.DOTALL)


def objects(path: Path) -> dict[int, bytes]:
    """Return the objects of a PDF by number."""
    return {int(number): body for number, body in _OBJECT.findall(path.read_bytes())}


def fonts(path: Path) -> list[bytes]:
    """Return the dictionaries of the fonts."""
    return [body for body in objects(path).values() if b"/Type /Font\n" in body or b"/Type /Font " in body]


def embedded_fonts(path: Path) -> list[bytes]:
    """Return the TrueType files that are embedded, decompressed."""
    parts = objects(path)
    files = []
    for body in parts.values():
        if b"/FontDescriptor" in body and b"/FontFile2" in body:
            reference = re.search(rb"/FontFile2 (\d+) 0 R", body)
            assert reference is not None
            files.append(_stream(parts[int(reference[1])]))
    return files


def page(path: Path) -> bytes:
    """Return the drawing commands of the page, decompressed."""
    parts = objects(path)
    [contents] = {int(number) for body in parts.values() for number in _CONTENTS.findall(body)}
    return _stream(parts[contents])


def _stream(body: bytes) -> bytes:
    head, _, rest = body.partition(b"stream\n")
    data = rest.rpartition(b"\nendstream")[0]
    return zlib.decompress(data) if b"FlateDecode" in head else data
