"""The page in its languages.

A catalogue is a plain JSON file for each language, ``static/texts/<language>.json``: texts by key, with
placeholders in braces, and for texts with a number one form for each plural category of Unicode's CLDR. The
browser writes most of the page and knows these categories and the numbers of every language (``Intl``):
neither a message compiler nor a library is needed. gettext's catalogues would need both in the browser.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources

from heritage.core.escaping import html

LANGUAGES: dict[str, str] = {"en": "English", "de": "Deutsch", "fr": "Français", "ar": "العربية"}
"""The languages of the page, by their own names; the first one is the default."""

RIGHT_TO_LEFT = ("ar",)
COOKIE = "heritage-language"
"""The cookie that keeps the choice made on the page."""

_STATIC = resources.files("heritage.server").joinpath("static")
_TEXT = re.compile(r'<[^>]*\bdata-text="([\w-]+)"[^>]*>')
_LABEL = re.compile(r'\bdata-label="([\w-]+)"')
_LANGUAGES = re.compile(r'<nav [^>]*\bid="languages"[^>]*>')
_READ = 50  # entries of an Accept-Language header

Catalogue = Mapping[str, str | Mapping[str, str]]
"""Texts by key; a text with a number by plural category."""


def static_files() -> dict[str, bytes]:
    """Return the files of the page by their path on the server, without the page itself."""
    files = {}
    for entry in (*_STATIC.iterdir(), *_STATIC.joinpath("texts").iterdir()):
        if entry.is_file() and entry.name != "index.html":
            folder = "/texts" if entry.name.endswith(".json") else ""
            files[f"{folder}/{entry.name}"] = entry.read_bytes()
    return files


@cache
def catalogue(language: str) -> Catalogue:
    """Return the texts of a language."""
    texts: Catalogue = json.loads(_STATIC.joinpath("texts", f"{language}.json").read_text(encoding="utf-8"))
    return texts


def render_page(language: str, *, civilisations: bool = True) -> bytes:
    """Return the page in a language: its texts are written after ``data-text`` and as ``aria-label``.

    Args:
        language: One of `LANGUAGES`.
        civilisations: Whether the classes are civilisations; for others, texts that end in ``_other`` apply.
    """
    texts = catalogue(language)

    def text(key: str) -> str:
        chosen = texts[key] if civilisations else texts.get(f"{key}_other", texts[key])
        return html(chosen)

    classes = "civilisations" if civilisations else "other"
    page = _STATIC.joinpath("index.html").read_text(encoding="utf-8")
    page = _TEXT.sub(lambda found: f"{found[0]}{text(found[1])}", page)
    page = _LABEL.sub(lambda found: f'{found[0]} aria-label="{text(found[1])}"', page)
    page = _LANGUAGES.sub(lambda found: f"{found[0]}{_buttons(language)}", page)
    return page.replace(
        'lang="en" dir="ltr" data-classes="civilisations"',
        f'lang="{language}" dir="{_direction(language)}" data-classes="{classes}"',
        1,
    ).encode()


def _buttons(language: str) -> str:
    return "".join(
        f'<button type="button" lang="{code}" dir="{_direction(code)}"'
        f' aria-current="{str(code == language).lower()}">{html(name)}</button>'
        for code, name in LANGUAGES.items()
    )


def _direction(language: str) -> str:
    return "rtl" if language in RIGHT_TO_LEFT else "ltr"


def choose_language(accept_language: str, cookie: str | None) -> str:
    """Return the language of a request.

    Args:
        accept_language: The header Accept-Language (RFC 9110), or an empty text.
        cookie: The language that was chosen on the page.

    Example:
        >>> choose_language("fr-CH, fr;q=0.9, en;q=0.8", None)
        'fr'
    """
    if cookie in LANGUAGES:
        return cookie
    wanted = []
    for position, entry in enumerate(accept_language.split(",")[:_READ]):
        name, _, rest = entry.strip().partition(";")
        weight = re.fullmatch(r"\s*q\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*", rest)
        quality = float(weight[1]) if weight else 0.0 if rest else 1.0
        language = name.strip().partition("-")[0].lower()
        if quality > 0 and language in LANGUAGES:
            wanted.append((-quality, position, language))
    return min(wanted)[2] if wanted else next(iter(LANGUAGES))
