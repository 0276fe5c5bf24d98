"""Find what pages would load from other servers: the site must work without network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

_TAG = re.compile(
    r"<(?P<tag>link|script|img|iframe|source|video|audio|object|embed)\b(?P<rest>[^>]*)>", re.IGNORECASE
)
_ADDRESS = re.compile(r"""\b(?:src|href|data)\s*=\s*["'](?P<url>(?:https?:)?//[^"']+)""", re.IGNORECASE)
_LOADING_LINK = re.compile(
    r"""rel\s*=\s*["'][^"']*(?:stylesheet|preload|icon|preconnect|manifest)""", re.IGNORECASE
)
_STYLE = re.compile(r"""(?:url\(|@import)\s*(?:url\()?\s*["']?(?P<url>(?:https?:)?//[^"')\s]+)""")


def loaded_from_elsewhere(folder: Path) -> list[str]:
    """Return the addresses of other servers that pages and style sheets load: ``page: address``."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".html", ".css"):
            text = path.read_text(encoding="utf-8")
            addresses = set(_addresses(text)) if path.suffix == ".html" else set()
            addresses |= {match["url"] for match in _STYLE.finditer(text)} if path.suffix == ".css" else set()
            found += [f"{path.relative_to(folder).as_posix()}: {address}" for address in sorted(addresses)]
    return found


def _addresses(page: str) -> Iterator[str]:
    for tag in _TAG.finditer(page):
        if tag["tag"].lower() == "link" and not _LOADING_LINK.search(tag["rest"]):
            continue
        for address in _ADDRESS.finditer(tag["rest"]):
            yield address["url"]
