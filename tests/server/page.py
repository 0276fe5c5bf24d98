"""The page in a browser, operated as by a user, and examined by axe-core."""

from __future__ import annotations

import json
import os
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

AXE = Path(sysconfig.get_path("purelib")) / "selenium_axe_python" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SHOTS = os.environ.get("HERITAGE_SCREENSHOTS")
"""A folder for screenshots of the page, for people."""


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
