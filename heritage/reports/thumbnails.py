"""Thumbnails and captions for self-contained pages.

A page holds its images as base64 text in one list; a script sets the source of each when it is scrolled near
the window, so that thousands of them do not freeze the page.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from heritage.core.bounded_read import read_bounded
from heritage.core.escaping import web_link
from heritage.core.image_io import Pixels, decode, encode_jpeg
from heritage.core.manifest import Manifest
from heritage.core.resizing import Resizing
from heritage.errors import ImageError

SIDE = 96  # pixels
PAGE_BYTES = 22_000_000  # of thumbnails in a page; with 5,000 captions it stays below 30 MB
_QUALITY = 58
_SMALL = Resizing(SIDE, "pad", _QUALITY)
_COLUMNS = ("museum", "object_id", "permalink", "source_url", "image_url", "credit", "title", "object_name")


@dataclass(frozen=True, slots=True)
class Caption:
    """The caption of an image, from its manifest.

    Attributes:
        file: Path relative to the data set's folder.
        title: Title of the object; empty if unknown.
        credit: Credit line; the museum if there is none.
        link: The museum's web page of the object; empty if unknown.
    """

    file: str
    title: str
    credit: str
    link: str


class Thumbnails:
    """The thumbnails of a page, each held once.

    Args:
        manifest: The images.
        max_bytes: Upper limit of their base64 text.
    """

    def __init__(self, manifest: Manifest, max_bytes: int = PAGE_BYTES) -> None:
        self._manifest = manifest
        self._left = max_bytes
        self._places: dict[int, int | None] = {}
        self.sources: list[str] = []
        known = [name for name in _COLUMNS if name in manifest.table.column_names]
        self._columns: dict[str, list[Any]] = {name: manifest.column(name) for name in known}

    def place(self, row: int) -> int | None:
        """Return the index in `sources` of a row's thumbnail; None if unreadable or the page is full."""
        if row not in self._places:
            self._places[row] = self._add(self._manifest.root / self._manifest.table["file"][row].as_py())
        return self._places[row]

    def add(self, pixels: Pixels) -> int | None:
        """Add an image (H, W, 3) in its own size and return its index; None if the page is full."""
        return self._keep(encode_jpeg(pixels, quality=_QUALITY + 20))

    def caption(self, row: int) -> Caption:
        """Return the caption of a row."""
        known = {name: values[row] or "" for name, values in self._columns.items()}
        museum = self._manifest.museum(known.get("museum", ""))
        page = museum.page_of(str(known.get("object_id", "")))
        return Caption(
            file=str(self._manifest.table["file"][row].as_py()),
            title=str(known.get("title") or known.get("object_name") or "").partition("|")[0],
            credit=str(known.get("credit") or museum.name),
            link=next(
                filter(None, (web_link(known.get(name)) for name in ("permalink", "source_url"))),
                page or web_link(known.get("image_url")),
            ),
        )

    def _add(self, path: Path) -> int | None:
        try:
            pixels = decode(read_bounded(path), at_least=SIDE)
        except (OSError, ImageError):
            return None
        return self._keep(encode_jpeg(_SMALL(pixels), quality=_QUALITY))

    def _keep(self, jpeg: bytes) -> int | None:
        text = base64.b64encode(jpeg).decode()
        if len(text) > self._left:
            return None
        self._left -= len(text)
        self.sources.append(text)
        return len(self.sources) - 1
