"""The line that a command shows while it starts."""

from __future__ import annotations

import io
import sys

import pytest

from heritage.core.terminal import print_line, start_line


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Replace both streams; in the test itself, as pytest replaces them after fixtures."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


def test_the_start_line_is_shown_at_once_and_erased_by_the_first_output(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = on_terminal(monkeypatch)
    with start_line("starting"):
        assert terminal.getvalue() == "starting\r"
        print_line("one")
        print_line("two", error=True)
    assert terminal.getvalue() == "starting\r\x1b[Kone\ntwo\n"
    assert (sys.stdout, sys.stderr) == (terminal, terminal)


def test_the_start_line_does_not_stay_if_nothing_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    with pytest.raises(SystemExit), start_line("starting"):
        sys.exit(2)
    assert terminal.getvalue() == "starting\r\x1b[K"


def test_output_to_a_file_leaves_the_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    file = io.StringIO()
    monkeypatch.setattr(sys, "stdout", file)
    with start_line("starting"):
        print_line("result")
        assert terminal.getvalue() == "starting\r"
    assert file.getvalue() == "result\n"


def test_nothing_is_shown_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with start_line("starting"):
        assert sys.stderr is stream
    assert stream.getvalue() == ""
