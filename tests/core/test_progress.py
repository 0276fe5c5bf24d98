"""Progress is seen on a terminal, in a notebook and in a log."""

from __future__ import annotations

import logging
import time

import pytest
from rich.console import Console

from heritage.core import progress
from heritage.core.progress import Progress


def advance(count: int) -> None:
    with Progress("resizing", count) as bar:
        for _ in range(count):
            bar.advance(1)


def test_a_log_gets_lines(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(progress, "_LOG_EVERY", -1)
    with caplog.at_level(logging.INFO):
        advance(3)
    assert "resizing: 1 of 3" in caplog.messages[0]
    assert caplog.messages[-1].startswith("resizing: 3 images in")


def test_one_item_is_singular(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        advance(1)
    assert caplog.messages[-1].startswith("resizing: 1 image in")


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(
        progress, "Console", lambda file, **_: Console(file=file, force_terminal=True, width=80)
    )
    advance(3)
    assert "3/3" in capsys.readouterr().err


def test_a_notebook_without_widgets_gets_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_LOG_EVERY", -1)
    monkeypatch.setattr(progress, "Console", lambda file, **_: Console(file=file, force_jupyter=True))
    monkeypatch.setattr(progress, "find_spec", lambda name: None)
    advance(2)
    assert "resizing: 2 of 2" in capsys.readouterr().err


def test_items_that_an_earlier_start_has_done_do_not_count_for_the_speed() -> None:
    bar = Progress("predicting", 10, done=8)
    bar.start()
    time.sleep(0.05)
    bar.advance(1)
    bar.stop()
    task = bar._bar.tasks[0]
    assert task.completed == 9
    assert float(task.fields["speed"].split()[0].replace(",", "")) < 25
