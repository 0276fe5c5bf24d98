"""The page in a real browser: uploads, predictions, errors, keyboard, screen readers, a phone."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from heritage.core.image_io import encode_jpeg
from heritage.core.taxonomy import CIVILISATIONS
from tests.conftest import patch
from tests.server.running import serving

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
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
SHOTS = os.environ.get("HERITAGE_SCREENSHOTS")
"""A folder for screenshots of the page, for people."""


@pytest.fixture(scope="module")
def address(calibrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(calibrated, tmp_path_factory.mktemp("cache")) as address:
        yield address


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                 f"--user-data-dir={tmp_path_factory.mktemp('browser')}"):  # fmt: skip
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(executable_path=DRIVER, log_output=subprocess.DEVNULL)
    browser = webdriver.Chrome(options=options, service=service)
    browser.set_script_timeout(60)
    yield browser
    browser.quit()


@pytest.fixture
def page(started: Chrome, address: str) -> Iterator[Page]:
    opened = Page(started, address)
    opened.open(1200, 900)
    yield opened
    messages = [entry["message"] for entry in started.get_log("browser")]  # type: ignore[no-untyped-call]
    allowed = ("415", "422", "413")  # the browser logs each refused request
    assert [text for text in messages if not any(code in text for code in allowed)] == []
    events = [json.loads(entry["message"])["message"] for entry in started.get_log("performance")]  # type: ignore[no-untyped-call]
    urls = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    foreign = [
        url for url in urls if not url.startswith((address, "blob:", "data:", "chrome:", "chrome-untrusted:"))
    ]
    assert foreign == [], "the page loads from another server"


class Page:
    """The page, operated as by a user."""

    def __init__(self, browser: Chrome, address: str) -> None:
        self.browser = browser
        self.address = address

    def open(self, width: int, height: int) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.browser.get(self.address)
        self.until("return document.querySelectorAll('#examples button').length == 6")

    def script(self, text: str, *arguments: Any) -> Any:
        return self.browser.execute_script(text, *arguments)

    def until(self, condition: str) -> None:
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.browser, 60).until(lambda _: self.script(condition))

    def upload(self, *files: Path) -> None:
        self.browser.find_element("id", "files").send_keys("\n".join(map(str, files)))
        self.until("return document.querySelectorAll('.card').length > 0"
                   " && document.querySelectorAll('.card.pending').length == 0")  # fmt: skip

    def texts(self, selector: str) -> list[str]:
        texts: list[str] = self.script(
            "return [...document.querySelectorAll(arguments[0])].map(one => one.textContent.trim())", selector
        )
        return texts

    def screenshot(self, name: str) -> None:
        if SHOTS:
            Path(SHOTS).mkdir(parents=True, exist_ok=True)
            self.browser.save_screenshot(str(Path(SHOTS) / f"{name}.png"))


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
    assert page.texts("figcaption") == ["vase 0.jpg"]
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


def test_several_uploads_with_an_unreadable_one(page: Page, pictures: list[Path], tmp_path: Path) -> None:
    (tmp_path / "notes.jpg").write_text("no picture")
    page.upload(*pictures, tmp_path / "notes.jpg")
    page.until("return document.querySelectorAll('.card').length == 4"
               " && document.querySelectorAll('.card.pending').length == 0")  # fmt: skip
    assert len(page.texts(".card:not(.error)")) == 3
    assert page.texts(".card.error h3") == ["No prediction"]
    assert "not an image in a supported format" in page.texts(".card.error .summary")[0]
    assert page.texts("#status") == ["4 predictions below."]
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
    assert order == ["skip", "files", "BUTTON"]
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
    assert len(statuses) == 1


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
    page.browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    read = "const style = getComputedStyle(document.documentElement);"
    colours = {
        name: page.script(f"{read} return style.getPropertyValue('--{name}').trim()")
        for name in ("paper", "card", "ink", "quiet", "clay", "error")
    }
    for ground in ("paper", "card"):
        for text in ("ink", "quiet", "clay", "error"):
            assert contrast(colours[ground], colours[text]) >= 4.5, f"{text} on {ground}"
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


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


def contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        values = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
