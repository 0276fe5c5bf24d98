"""What `heritage serve` prints first, and opening the page."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import pytest

from heritage.inference.checkpoint import load_checkpoint
from heritage.server import opening


def test_the_network_line_names_run_and_images(run_folder: Path) -> None:
    line = opening.network_line(load_checkpoint(run_folder))
    assert line.startswith("network: ")
    assert " images): " in line
    assert line.endswith(run_folder.name)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),  # noqa: S104
        ("::", "http://[::1]:8000"),
        ("museum.example.org", "http://museum.example.org:8000"),
    ],
)
def test_the_address_is_one_that_a_browser_reaches(host: str, address: str) -> None:
    assert opening.page_address(host, 8000) == address


def test_a_machine_without_browser_prints_the_address(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(opening, "has_browser", lambda environment: False)
    monkeypatch.setattr(webbrowser, "open", pytest.fail)
    opening.open_page("http://127.0.0.1:8000")
    assert "open http://127.0.0.1:8000" in capsys.readouterr().out


def test_a_browser_in_the_terminal_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("heritage.server.opening.sys.platform", "linux")
    assert not opening.has_browser({})
    assert opening.has_browser({"BROWSER": "firefox"})

    def none() -> None:
        raise webbrowser.Error("none")

    monkeypatch.setattr(webbrowser, "get", none)
    assert not opening.has_browser({"DISPLAY": ":0"})
