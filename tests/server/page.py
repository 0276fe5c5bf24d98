"""The page in a browser, operated as by a user, and examined by axe-core."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
AXE = Path(sysconfig.get_path("purelib")) / "selenium_axe_python" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SHOTS = os.environ.get("HERITAGE_SCREENSHOTS")
"""A folder for screenshots of the page, for people."""


@contextlib.contextmanager
def chrome(profile: Path) -> Iterator[Chrome]:
    """Start a browser that logs its messages and requests."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                 f"--user-data-dir={profile}"):  # fmt: skip
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(executable_path=DRIVER, log_output=subprocess.DEVNULL)
    browser = webdriver.Chrome(options=options, service=service)
    browser.set_script_timeout(60)
    try:
        yield browser
    finally:
        browser.quit()


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours `#rrggbb` as WCAG defines it."""

    def luminance(colour: str) -> float:
        values = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


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

    def upload(self, *files: Path, one_object: bool = False) -> None:
        before = self.script("return document.querySelectorAll('.card').length")
        mode = "object" if one_object else "separate"
        self.script(f"document.querySelector('input[value={mode}]').click()")
        self.browser.find_element("id", "files").send_keys("\n".join(map(str, files)))
        expected = before + (1 if one_object else len(files))
        self.until(f"return document.querySelectorAll('.card:not(.pending)').length == {expected}")

    def click(self, selector: str, position: int = 0) -> None:
        self.script(f"document.querySelectorAll({json.dumps(selector)})[{position}].click()")

    def language(self, name: str) -> None:
        self.click(f"#languages [lang={name}]")
        self.until(f"return document.documentElement.lang == '{name}'")

    def media(self, **features: str) -> None:
        listed = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": listed})

    def violations(self) -> list[str]:
        """Return what axe-core finds against WCAG 2.2 AA and its best practices."""
        self.script("if (!window.axe) (0, eval)(arguments[0])", AXE.read_text(encoding="utf-8"))
        found: list[str] = self.browser.execute_async_script(
            "const done = arguments[arguments.length - 1];"
            f"axe.run(document, {{runOnly: {RULES}}})"
            ".then(result => done(result.violations.flatMap(one =>"
            " one.nodes.map(node => `${one.id}: ${node.html.slice(0, 200)}`))))"
        )
        return found

    def texts(self, selector: str) -> list[str]:
        texts: list[str] = self.script(
            "return [...document.querySelectorAll(arguments[0])].map(one => one.textContent.trim())", selector
        )
        return texts

    def screenshot(self, name: str) -> None:
        if SHOTS:
            Path(SHOTS).mkdir(parents=True, exist_ok=True)
            self.browser.save_screenshot(str(Path(SHOTS) / f"{name}.png"))

    def faults(self) -> list[str]:
        """Return what the browser has logged, but for requests that a test has the server refuse."""
        refused = ("415", "422", "413", "nothing.jpg")
        messages = [entry["message"] for entry in self.browser.get_log("browser")]  # type: ignore[no-untyped-call]
        return [text for text in messages if not any(code in text for code in refused)]

    def foreign_requests(self) -> list[str]:
        """Return the addresses of other servers that were requested."""
        own = (self.address, "blob:", "data:", "chrome:", "chrome-untrusted:")
        entries = self.browser.get_log("performance")  # type: ignore[no-untyped-call]
        events = [json.loads(entry["message"])["message"] for entry in entries]
        sent = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
        return [url for one in sent if not (url := one["request"]["url"]).startswith(own)]
