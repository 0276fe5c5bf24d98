"""Small pictures for self-contained pages, and what is said beneath them.

A page holds its pictures as text in one list; a script puts each into its place when it comes near the
window, so that thousands of them neither freeze the page nor pass its size limit.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from heritage.core.image_io import Pixels, decode, encode_jpeg
from heritage.core.manifest import Manifest
from heritage.core.resizing import Resizing
from heritage.errors import ImageError

SIDE = 96  # pixels of a small picture
PAGE_BYTES = 22_000_000  # of pictures in a page; with 5,000 captions it stays below 30 MB
_QUALITY = 58
_SMALL = Resizing(SIDE, "pad", _QUALITY)
_ABOUT = ("museum", "object_id", "permalink", "source_url", "image_url", "credit", "title", "object_name")


@dataclass(frozen=True, slots=True)
class Caption:
    """What a manifest knows of a picture.

    Attributes:
        file: Relative to the data set's folder.
        title: What the museum calls it.
        credit: Whom to thank; the museum where nobody is named.
        link: The museum's page on it; empty where none is known.
    """

    file: str
    title: str
    credit: str
    link: str


class Thumbnails:
    """The small pictures of a page, each held once.

    Args:
        manifest: The images.
        most: Bytes of base64 text that they may take.
    """

    def __init__(self, manifest: Manifest, most: int = PAGE_BYTES) -> None:
        self._manifest = manifest
        self._left = most
        self._places: dict[int, int | None] = {}
        self.sources: list[str] = []
        known = [name for name in _ABOUT if name in manifest.table.column_names]
        self._columns: dict[str, list[Any]] = {name: manifest.column(name) for name in known}

    def place(self, row: int) -> int | None:
        """Return a row's place in `sources`; None where it cannot be read or the page is full."""
        if row not in self._places:
            self._places[row] = self._add(self._manifest.root / self._manifest.table["file"][row].as_py())
        return self._places[row]

    def add(self, pixels: Pixels) -> int | None:
        """Take in pixels (height, width, 3) as they are; None where the page is full."""
        return self._keep(encode_jpeg(pixels, quality=_QUALITY + 20))

    def about(self, row: int) -> Caption:
        """Return what is known of a row."""
        said = {name: values[row] or "" for name, values in self._columns.items()}
        museum = self._manifest.museum(said.get("museum", ""))
        page = museum.page_of(str(said.get("object_id", "")))
        return Caption(
            file=str(self._manifest.table["file"][row].as_py()),
            title=str(said.get("title") or said.get("object_name") or "").partition("|")[0],
            credit=str(said.get("credit") or museum.name),
            link=str(said.get("permalink") or said.get("source_url") or page or said.get("image_url") or ""),
        )

    def _add(self, path: Path) -> int | None:
        try:
            pixels = decode(path.read_bytes(), at_least=SIDE)
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
