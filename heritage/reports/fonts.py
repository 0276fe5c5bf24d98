"""Fonts of figures: DejaVu Sans, and for its missing characters other installed fonts that have them.

Matplotlib ships DejaVu Sans (Latin, Greek, Cyrillic, Hebrew, Arabic, Armenian, Georgian and many signs) and
STIX; Chinese, Japanese, Korean and the scripts of India need an installed font.
"""

from __future__ import annotations

import functools
import logging
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

log = logging.getLogger(__name__)

BASE = "DejaVu Sans"
_SUFFIXES = (".ttf", ".otf", ".ttc")
# fonts for formulas, in private encodings, and one whose glyphs are boxes
_UNSUITABLE = ("STIXNonUnicode", "STIXSize", "cm", "Last Resort", "DejaVu Math")
_SHOWN = 8  # characters in a warning
_reported: set[str] = set()


def font_families(texts: Iterable[str]) -> list[str]:
    """Return the font families that together have the characters of texts, the base font first.

    Characters that no installed font has are drawn as boxes; a warning counts them, once for each of them.
    """
    return list(_families(frozenset("".join(texts)) - _known(_base())))


def missing_characters(texts: Iterable[str]) -> list[str]:
    """Return the characters of texts that no installed font has, in the order of their code points."""
    return sorted(_uncovered(frozenset("".join(texts)) - _known(_base()))[1])


@functools.lru_cache(maxsize=64)
def _families(others: frozenset[str]) -> tuple[str, ...]:
    families, missing = _uncovered(others)
    if new := sorted(missing - _reported):
        _reported.update(new)
        shown = " ".join(new[:_SHOWN]) + (" …" if len(new) > _SHOWN else "")
        log.warning(
            "%d %s of the figures' text %s in no installed font (%s): boxes are drawn; install a font with "
            "them, such as Noto Sans",
            len(new), "character" if len(new) == 1 else "characters", "is" if len(new) == 1 else "are", shown,
        )  # fmt: skip
    return (BASE, *families)


def _uncovered(others: frozenset[str]) -> tuple[list[str], frozenset[str]]:
    """Return the families that have most of some characters, and the characters that none has."""
    missing = frozenset(letter for letter in others if unicodedata.category(letter) not in ("Cf", "Cc", "Zs"))
    families: list[str] = []
    if not missing:
        return families, missing
    fonts = _fonts()
    while missing:
        name, path = max(fonts, key=lambda font: len(missing & _known(font[1])), default=("", ""))
        if not path or not missing & _known(path):
            break
        families.append(name)
        missing -= _known(path)
    return families, missing


@functools.cache
def _base() -> str:
    return str(font_manager.findfont(BASE))


@functools.cache
def _fonts() -> list[tuple[str, str]]:
    """Return name and path of the upright fonts of normal weight in the order of preference.

    Those that Matplotlib ships are first, then TrueType: PDF readers show the outlines of other fonts, too,
    but a journal's check may refuse them.
    """
    shipped = str(Path(_base()).parent)
    fonts = {
        (not one.fname.startswith(shipped), not one.fname.lower().endswith(".ttf"), one.name, one.fname)
        for one in font_manager.fontManager.ttflist
        if one.style == "normal" and one.weight in (400, "normal", "regular")
        and one.fname.lower().endswith(_SUFFIXES) and not one.name.startswith(_UNSUITABLE)
    }  # fmt: skip
    return [(name, path) for _, _, name, path in sorted(fonts)]


@functools.cache
def _known(path: str) -> frozenset[str]:
    """Return the characters that a font has."""
    try:
        return frozenset(map(chr, FT2Font(path).get_charmap()))
    except (OSError, RuntimeError):  # removed or damaged since the list of fonts was made
        return frozenset()
