"""The texts of the page: every text in every language, with the same placeholders and all plural forms."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from heritage.core.class_names import TRANSLATIONS
from heritage.core.files import PACKAGE
from heritage.core.taxonomy import CLASSES
from heritage.server.pages import LANGUAGES, catalogue, choose_language, render_page

STATIC = PACKAGE / "server" / "static"
PLURALS = {
    "en": {"one", "other"},
    "de": {"one", "other"},
    "fr": {"one", "many", "other"},
    "ar": {"zero", "one", "two", "few", "many", "other"},
}
"""The plural categories of Unicode's CLDR for whole numbers."""


def placeholders(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_in_every_language_with_the_same_placeholders(language: str) -> None:
    english, texts = catalogue("en"), catalogue(language)
    assert set(texts) == set(english)
    for key, text in texts.items():
        original = english[key]
        assert isinstance(text, str) == isinstance(original, str), key
        if isinstance(text, str) and isinstance(original, str):
            assert placeholders(text) == placeholders(original), key
            assert text.strip(), key
        elif not isinstance(text, str) and not isinstance(original, str):
            assert set(text) == PLURALS[language], key
            assert placeholders(text["other"]) == placeholders(original["other"]), key
            for form in text.values():  # "one photograph" needs no number
                missing = placeholders(original["other"]) - placeholders(form)
                assert missing <= {"count"}, key
                assert placeholders(form) <= placeholders(original["other"]), key


def test_languages_differ() -> None:
    for language in ("de", "fr", "ar"):
        texts = catalogue(language)
        same = {key for key, text in texts.items() if text == catalogue("en")[key]}
        assert same <= {"more_than", "less_than", "photographs"}, language


def test_scripts_use_texts_that_exist() -> None:
    used = set()
    for path in STATIC.glob("*.js"):
        used |= set(re.findall(r'\bt\(\s*"(\w+)"', path.read_text(encoding="utf-8")))
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    used |= set(re.findall(r'data-(?:text|label)="(\w+)"', page))
    assert len(used) > 50
    assert used <= set(catalogue("en"))


def test_the_page_offers_the_languages_that_the_server_has() -> None:
    page = render_page("de").decode()
    offered = re.findall(
        r'<button type="button" lang="(\w+)" dir="(\w+)" aria-current="(\w+)">([^<]+)<', page
    )
    assert {code: name for code, _, _, name in offered} == LANGUAGES
    assert [code for code, direction, _, _ in offered if direction == "rtl"] == ["ar"]
    assert [code for code, _, current, _ in offered if current == "true"] == ["de"]
    assert {path.stem for path in (STATIC / "texts").iterdir()} == set(LANGUAGES)


def codes() -> Iterator[str]:
    """Yield the codes of all refusals of the server."""
    for path in (PACKAGE / "server").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "RequestRefused":
                code = node.args[1]
                if isinstance(code, ast.Constant):
                    yield str(code.value)


def test_every_error_of_the_server_has_a_text() -> None:
    found = set(codes())
    assert {"too_large", "busy", "not_a_picture", "verdicts_full"} <= found
    assert {f"error_{code}" for code in found} <= set(catalogue("en"))


def test_the_civilisations_have_names_in_every_language() -> None:
    for language in set(LANGUAGES) - {"en"}:
        assert set(TRANSLATIONS[language]) == set(CLASSES)


@pytest.mark.parametrize(
    ("header", "cookie", "language"),
    [
        ("", None, "en"),
        ("fr-CH, fr;q=0.9, en;q=0.8", None, "fr"),
        ("es, ar;q=0.3, de;q=0.7", None, "de"),
        ("AR-EG", None, "ar"),
        ("de;q=0, en", None, "en"),
        ("de;q=nonsense, fr;q=0.1", None, "fr"),
        ("*", None, "en"),
        ("de", "ar", "ar"),
        ("de", "<script>", "de"),
        ("de," * 5000, None, "de"),
    ],
)
def test_the_language_is_the_chosen_one_else_the_browsers(
    header: str, cookie: str | None, language: str
) -> None:
    assert choose_language(header, cookie) == language


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_is_complete_without_its_scripts(language: str) -> None:
    page = render_page(language).decode()
    direction = "rtl" if language == "ar" else "ltr"
    assert f'<html lang="{language}" dir="{direction}" data-classes="civilisations">' in page
    title = catalogue(language)["title"]
    assert f'<h1 data-text="title">{title}</h1>' in page
    assert re.findall(r'data-text="\w+"[^>]*></', page) == []
    other = render_page(language, civilisations=False).decode()
    assert f'<html lang="{language}" dir="{direction}" data-classes="other">' in other
    assert f'<h1 data-text="title">{catalogue(language)["title_other"]}</h1>' in other
    assert "style=" not in page
    assert not re.search(r"\son\w+=", page), "the content security policy forbids it"
