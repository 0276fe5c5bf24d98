"""The page in a real browser: uploads, predictions, errors, keyboard, screen readers, a phone, languages."""

from __future__ import annotations

import base64
import csv
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from heritage.core.image_io import encode_jpeg
from heritage.core.manifest import Manifest
from heritage.core.taxonomy import CIVILISATIONS
from heritage.server.pages import LANGUAGES
from tests.conftest import Command, patch, write_tree
from tests.server.page import BROWSER, DRIVER, Page, chrome, contrast
from tests.server.running import serving

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        BROWSER is None or DRIVER is None,
        reason="needs a browser: apt-get install chromium chromium-driver",
    ),
    # selenium leaves its pipe to the driver to the garbage collector
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("verdicts") / "verdicts.csv"


@pytest.fixture(scope="module")
def address(calibrated: Path, verdicts: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(calibrated, tmp_path_factory.mktemp("cache"), verdicts) as address:
        yield address


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with chrome(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture
def page(started: Chrome, address: str) -> Iterator[Page]:
    opened = Page(started, address)
    opened.open(1200, 900)
    yield opened
    assert opened.faults() == []
    assert opened.foreign_requests() == [], "the page loads from another server"


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    files = []
    for k in range(3):
        (tmp_path / f"vase {k}.jpg").write_bytes(encode_jpeg(patch(k, 99, size=300)))
        files.append(tmp_path / f"vase {k}.jpg")
    return files


def test_an_upload_gets_a_prediction(page: Page, pictures: list[Path]) -> None:
    page.upload(pictures[0])
    (title,) = page.texts(".card h3")
    labels, values = page.texts(".bars .label"), page.texts(".bars .value")
    assert title in {"Unsure", labels[0]}
    assert sorted(labels) == sorted(CIVILISATIONS.values())
    assert all(value.endswith("%") for value in values)
    widths = page.script("return [...document.querySelectorAll('.fill')].map(one => one.offsetWidth)")
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 20
    assert page.texts("figcaption bdi") == ["vase 0.jpg"]
    assert page.texts("#status") == ["One prediction below."]
    assert len(page.texts(".similar li")) == 6
    page.until("return [...document.querySelectorAll('.similar img')].some(one => one.naturalWidth > 0)")
    page.browser.find_element("css selector", "button.saliency-button").click()
    assert page.script("return document.querySelector('.heat').checkVisibility()")
    assert page.script("return document.querySelector('.heat').naturalWidth") == 256
    assert page.texts(".limits li")[0].startswith(
        "Other civilisations. The network only knows Egypt, Greece and Rome"
    )
    page.screenshot("one")


def test_several_uploads_stay_in_order_with_an_unreadable_one(
    page: Page, pictures: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "notes.jpg").write_text("no picture")
    page.upload(pictures[2], tmp_path / "notes.jpg", pictures[0], pictures[1])
    assert page.texts("figcaption bdi") == ["vase 2.jpg", "notes.jpg", "vase 0.jpg", "vase 1.jpg"]
    assert page.texts(".card.error .missing") == ["No preview"]
    assert len(page.texts(".card:not(.error)")) == 3
    assert page.texts(".card.error h3") == ["No prediction"]
    assert page.texts(".card.error .summary")[0].startswith(
        "This is not an image in a supported format (JPEG, PNG, WebP, TIFF, BMP, GIF"
    )
    assert "not an image in a supported format" in page.texts(".card.error .summary")[0]
    assert page.texts("#status") == ["3 predictions below. One without a prediction."]
    page.screenshot("several")


def test_the_page_works_by_keyboard(page: Page) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    keys = ActionChains(page.browser)
    order = []
    for _ in range(3):
        keys.send_keys(Keys.TAB).perform()
        order.append(page.script("return document.activeElement.className || document.activeElement.id"
                                 " || document.activeElement.tagName"))  # fmt: skip
    assert order == ["skip", "BUTTON", "BUTTON"], "the languages"
    for _ in range(5):
        keys.send_keys(Keys.TAB).perform()
        order.append(page.script("return document.activeElement.id || document.activeElement.name"
                                 " || document.activeElement.tagName"))  # fmt: skip
    assert order[3:] == ["BUTTON", "BUTTON", "files", "mode", "BUTTON"]
    outline = "return getComputedStyle(document.activeElement).outlineStyle"
    assert page.script(outline) != "none", "the focus is visible"
    keys.send_keys(Keys.ENTER).perform()
    page.until("return document.querySelectorAll('.card').length == 1 && !document.querySelector('.pending')")
    assert page.script("return document.activeElement.id") == "predictions"
    keys.send_keys(Keys.TAB).perform()
    keys.send_keys(Keys.ENTER).perform()
    assert (
        page.script("return document.querySelector('.saliency-button').getAttribute('aria-pressed')")
        == "true"
    )


def test_the_accessibility_tree_has_names_and_headings(page: Page, pictures: list[Path]) -> None:
    page.upload(pictures[0])
    assert page.script("return document.documentElement.lang") == "en"
    assert page.script("return document.querySelectorAll('img:not([alt])').length") == 0
    tree = page.browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})
    shown = [node for node in tree["nodes"] if not node.get("ignored")]
    for node in shown:
        if node["role"]["value"] in ("button", "link", "image") and node.get("focusable", True):
            named = node.get("name", {}).get("value") or node["role"]["value"] == "image"
            assert named, f"a {node['role']['value']} without a name"
    headings = [node for node in shown if node["role"]["value"] == "heading"]
    levels = [p["value"]["value"] for node in headings for p in node["properties"] if p["name"] == "level"]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    statuses = [node for node in shown if node["role"]["value"] == "status"]
    assert len(statuses) == 2, "of the page, and of the verdict"


def test_a_busy_server_is_tried_again_and_an_unreachable_one_reported(
    page: Page, pictures: list[Path]
) -> None:
    page.script(
        "const real = window.fetch; window.refused = 0;"
        "window.fetch = (address, ...more) => String(address).startsWith('predict') && window.refused < 1"
        " ? (window.refused += 1, Promise.resolve("
        "new Response('{}', {status: 503, headers: {'retry-after': '1'}}))) : real(address, ...more);"
    )
    page.upload(pictures[0])
    assert page.script("return window.refused") == 1
    assert len(page.texts(".bars li")) == 6
    page.script("window.fetch = () => Promise.reject(new TypeError('no network'))")
    page.script("document.querySelector('#examples button').click()")
    page.until("return document.getElementById('status').textContent.includes('cannot be reached')")
    page.upload(pictures[1])
    assert "cannot be reached" in page.texts(".card.error .summary")[0]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast(page: Page, scheme: str) -> None:
    """WCAG 2.2: a contrast of 4.5 between text and background."""
    page.media(prefers_color_scheme=scheme)
    read = "const style = getComputedStyle(document.documentElement);"
    colours = {
        name: page.script(f"{read} return style.getPropertyValue('--{name}').trim()")
        for name in ("paper", "card", "ink", "quiet", "clay", "error")
    }
    page.media()
    for ground in ("paper", "card"):
        for text in ("ink", "quiet", "clay", "error"):
            assert contrast(colours[ground], colours[text]) >= 4.5, f"{text} on {ground}"


def test_the_page_fits_a_phone(page: Page, pictures: list[Path]) -> None:
    page.open(360, 740)
    page.screenshot("phone-start")
    page.upload(pictures[1])
    assert page.script("return document.documentElement.scrollWidth") <= 360
    sizes = page.script(
        "return [...document.querySelectorAll('button, .drop input')].filter(one => one.checkVisibility())"
        ".map(one => Math.min(one.offsetWidth, one.offsetHeight))"
    )
    assert min(sizes) >= 44, "too small to touch"
    page.script("document.querySelector('.card').scrollIntoView()")
    page.screenshot("phone-prediction")


def test_photographs_of_one_object_get_one_prediction(page: Page, pictures: list[Path]) -> None:
    page.upload(*pictures, one_object=True)
    assert page.texts(".card .eyebrow") == ["One object, 3 photographs"]
    assert page.texts("figcaption bdi") == ["vase 0.jpg", "vase 1.jpg", "vase 2.jpg"]
    views = page.texts("figcaption .view")
    assert len(views) == 3
    assert all("%" in view for view in views)
    assert len(page.texts(".bars li")) == 6
    assert len(page.texts(".similar li")) == 6
    page.screenshot("object")


def test_two_photographs_are_compared(page: Page, pictures: list[Path]) -> None:
    page.upload(*pictures)
    page.click(".compare-button", 2)
    assert page.texts("#status") == ["Choose a second photograph to compare with vase 2.jpg."]
    page.click(".compare-button", 0)
    page.until("return document.querySelector('.similarity').textContent.includes('identical')")
    assert page.texts("thead th") == ["Class", "vase 2.jpg", "vase 0.jpg"]
    values = page.texts(".comparison .value")
    assert len(values) == 12
    of_cards = page.texts(".card .value")
    assert sorted(values[::2]) == sorted(of_cards[12:])
    assert sorted(values[1::2]) == sorted(of_cards[:6])
    page.click(".comparison .actions button", 0)
    heats = "[...document.querySelectorAll('.comparison .heat')]"
    assert page.script(f"return {heats}.every(one => one.checkVisibility())")
    page.click(".close-button")
    assert not page.script("return document.querySelector('#comparison').checkVisibility()")
    assert page.texts(".compare-button[aria-pressed=true]") == []


def test_photographs_of_two_cards_become_one_object(page: Page, pictures: list[Path]) -> None:
    page.upload(*pictures)
    page.click(".compare-button", 1)
    page.click(".compare-button", 2)
    page.click(".combine-button")
    page.until("return document.querySelectorAll('.card.object.done').length == 1")
    assert page.texts(".card") == [*page.texts(".card:not(.object)"), *page.texts(".card.object")]
    assert page.texts(".object figcaption bdi") == ["vase 1.jpg", "vase 2.jpg"]
    assert page.texts(".eyebrow") == ["One object, 2 photographs"]
    assert page.texts("#status") == ["2 predictions below."]
    page.click(".object .compare-button", 0)
    page.click(".object .compare-button", 1)
    assert page.texts(".combine-button") == [], "they are one object already"
    page.click(".close-button")


def test_a_photograph_is_predicted_again_when_the_server_is_back(page: Page, pictures: list[Path]) -> None:
    page.script("window.real = fetch; window.fetch = () => Promise.reject(new TypeError('no network'))")
    page.upload(pictures[0])
    assert page.texts(".card h3, .summary") == [
        "No prediction", "The server cannot be reached. Is it still running?",
    ]  # fmt: skip
    page.click("#languages [lang=de]")
    page.until("return document.querySelector('#status').textContent.startsWith('The server')")
    assert page.script("return document.documentElement.lang") == "en"
    page.script("window.fetch = window.real")
    page.click(".card.error .actions button")
    page.until("return document.querySelector('.card.done') !== null")
    assert page.texts("#status") == ["One prediction below."]


def test_an_example_is_named_in_the_language_of_the_page(page: Page) -> None:
    page.click("#examples button", 1)
    page.until("return document.querySelector('.card.done') !== null")
    assert page.texts("figcaption bdi") == ["Example 2"]
    page.language("de")
    assert page.texts("figcaption bdi") == ["Beispiel 2"]
    page.language("en")


def test_a_similar_object_without_its_picture_is_marked(page: Page, pictures: list[Path]) -> None:
    page.upload(pictures[0])
    assert all(title.endswith(".jpg") for title in page.texts(".similar .title")), "no titles are known"
    page.script("document.querySelectorAll('.similar img')[1].src = 'nothing.jpg'")
    page.until("return document.querySelectorAll('.similar .missing').length == 1")
    assert page.texts(".similar .missing") == ["Picture not available"]
    assert len(page.texts(".similar li")) == 6


def test_verdicts_given_on_the_page_are_replayed_by_curate(
    page: Page, verdicts: Path, tmp_path: Path, pictures: list[Path], heritage: Command
) -> None:
    raw = write_tree(tmp_path / "raw")
    page.upload(raw / "islam" / "003.jpg", raw / "asian" / "001.jpg", pictures[0])
    field = page.browser.find_element("id", "reviewer")
    field.clear()
    field.send_keys("=Ann")
    first = page.script("return document.querySelectorAll('.verdict legend')[0].textContent")
    right = "byzantium" if "Byzantium" not in first else "asian"
    page.click(".card:nth-child(1) .verdict button", 1)
    page.script(f"document.querySelector('.card select').value = '{right}'")
    page.click(".card .chooser button")
    page.until("return document.querySelector('.card .message').textContent.startsWith('Saved')")
    assert page.texts(".card .message")[0] == f"Saved: the right class is “{CIVILISATIONS[right]}”."
    page.click(".card:nth-child(2) .verdict button", 2)
    page.click(".card:nth-child(3) .verdict button", 0)
    page.until("return document.querySelectorAll('.verdict .message:not(:empty)').length == 3")
    with verdicts.open(encoding="utf-8", newline="") as file:
        saved = list(csv.DictReader(file))[-3:]
    assert sorted(row["file"] for row in saved) == ["001.jpg", "003.jpg", "vase 0.jpg"]
    assert {row["reviewer"] for row in saved} == {"'=Ann"}
    out = tmp_path / "set"
    done = heritage("curate", "raw=class_folders", f"raw.root={raw}", f"out={out}", f"verdicts={verdicts}")
    assert done.code == 0, done.err
    assert (
        "1 photograph is judged, but not in this source (no file has the checksum): vase 0.jpg." in done.out
    )
    assert "1 photograph is left as it is, because no class was given: 001.jpg." in done.out
    table = Manifest.read(out).table.to_pylist()
    (changed,) = [row for row in table if row["class"] != row["raw_class"]]
    assert (changed["raw_file"], changed["class"]) == ("islam/003.jpg", right)
    assert (out / "verdicts.csv").is_file(), "the next build replays them, too"


STATES = ("empty", "results")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_is_accessible_in_every_language_and_state(
    page: Page, pictures: list[Path], tmp_path: Path, language: str
) -> None:
    (tmp_path / "notes.jpg").write_text("no picture")
    page.language(language)
    direction = "rtl" if language == "ar" else "ltr"
    assert page.script("return document.documentElement.dir") == direction
    for state in STATES:
        if state == "results":
            page.upload(pictures[0], pictures[1], tmp_path / "notes.jpg")
            page.upload(*pictures[:2], one_object=True)
            page.click(".compare-button", 0)
            page.click(".compare-button", 1)
            page.click(".saliency-button", 0)
            page.click(".verdict button", 1)
        for scheme in ("light", "dark"):
            page.media(prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
            page.screenshot(f"{state}-{language}-{scheme}")
            assert page.violations() == [], f"{state}, {language}, {scheme}"
    page.media()
    english = {"Egypt", "Saliency map", "Compare", "No prediction", "Limitations"}
    shown = set(page.texts("button, h2, h3, .label"))
    assert bool(english & shown) == (language == "en")
    page.browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 320, "height": 740, "deviceScaleFactor": 1, "mobile": True},
    )
    assert page.script("return document.documentElement.scrollWidth") <= 320, "WCAG 1.4.10: reflow"
    page.open(1200, 900)
    assert page.script("return document.documentElement.lang") == language, "the choice is kept"
    page.language("en")


def test_numbers_are_written_as_the_language_writes_them(page: Page, pictures: list[Path]) -> None:
    page.upload(pictures[0])
    page.language("de")
    values = page.texts(".card .value")
    assert all("," in value and value.endswith("\u00a0%") for value in values), values
    assert "Ägypten" in page.texts(".card .label bdi")
    page.language("en")


def test_the_print_view_has_results_without_controls(page: Page, pictures: list[Path]) -> None:
    page.upload(pictures[0])
    page.script("window.dispatchEvent(new Event('beforeprint'))")
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    hidden = page.script(
        "return ['.upload', '.languages', '#print', '.verdict', '.saliency-button']"
        ".filter(one => document.querySelector(one).checkVisibility())"
    )
    assert hidden == []
    assert page.script("return document.querySelector('.bars').checkVisibility()")
    assert page.texts("#printed")[0].startswith("Printed on ")
    page.media()
    printed = page.browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": False})
    assert base64.b64decode(printed["data"]).startswith(b"%PDF")


def test_names_of_others_keep_the_order_of_a_sentence(page: Page) -> None:
    page.script(
        "window.texts = null; import('/texts.js').then((texts) => {"
        " window.texts = ['vase\\u202egpj.exe', 'a\\u2069b', '\\u0645\\u0635\\u0631', 'Greek']"
        ".map((name) => texts.t('compare_second', { name })); })"
    )
    page.until("return window.texts !== null")
    override, end_of_isolation, arabic, plain = page.script("return window.texts")
    assert "vasegpj.exe" in override
    assert "ab" in end_of_isolation
    assert "\u2068\u0645\u0635\u0631\u2069" in arabic
    assert not set("\u202e\u2068\u2069") & set(override + end_of_isolation + plain)
