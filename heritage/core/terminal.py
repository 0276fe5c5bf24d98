"""Print lines and log records without control characters from names and messages of others.

Everything that a command prints goes through `print_line`, `print_text` or `heritage.core.console.Console`,
and the records of all loggers through `escape_logs`.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO, cast

from heritage.core.escaping import terminal, visible


def print_line(text: object = "", *, error: bool = False) -> None:
    """Print text on one line, escaped, on stdout or stderr, at once."""
    _write(terminal(text), error=error)


def print_text(text: object, *, error: bool = False) -> None:
    """Print text of several lines; hidden characters are escaped."""
    _write(visible(text), error=error)


def _write(text: str, *, error: bool) -> None:
    stream: TextIO = sys.stderr if error else sys.stdout
    print(text, file=stream, flush=True)


def own_command() -> list[str]:
    """Return the words that start heritage: the script, if the shell finds that of this environment."""
    script = shutil.which("heritage")
    if script is not None and Path(script).parent == Path(sys.executable).parent:
        return ["heritage"]
    return [sys.executable, "-m", "heritage"]


class StandardOutput:
    """A standard output whose errors name it, as those of files name the file."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write text."""
        with _named():
            return self._stream.write(text)

    def flush(self) -> None:
        """Write what is buffered."""
        with _named():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


STANDARD_OUTPUT = "standard output"
"""The file name of errors of `StandardOutput`."""


@contextlib.contextmanager
def named_standard_output() -> Iterator[None]:
    """Let errors of ``sys.stdout`` have the file name `STANDARD_OUTPUT` in a block."""
    before = sys.stdout
    named = cast("TextIO", StandardOutput(before))
    sys.stdout = named
    try:
        yield
    finally:
        if sys.stdout is named:
            sys.stdout = before


@contextlib.contextmanager
def _named() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        error.filename = STANDARD_OUTPUT
        raise


@contextlib.contextmanager
def start_line(text: str) -> Iterator[None]:
    """Show a line on the terminal until the block writes anything or ends.

    A command imports and composes for a second or more before it has anything to print. Nothing is shown
    where stderr is not a terminal.

    Args:
        text: The line.
    """
    if not sys.stderr.isatty():
        yield
        return
    line = _StartLine(sys.stderr, text)
    before = sys.stdout, sys.stderr
    wrapped = tuple(cast("TextIO", _ErasingFirst(stream, line)) for stream in before)
    sys.stdout, sys.stderr = wrapped
    try:
        yield
    finally:
        sys.stdout, sys.stderr = (
            old if now is own else now
            for old, now, own in zip(before, (sys.stdout, sys.stderr), wrapped, strict=True)
        )
        line.erase()


@contextlib.contextmanager
def command_output(name: str) -> Iterator[None]:
    """Prepare the output of a command: a line while it starts, and errors that name the standard output.

    Args:
        name: The command, as a line begins.
    """
    with named_standard_output(), start_line(f"{name}: starting …"):
        yield


class _StartLine:
    """A line on a terminal that can be erased once; the cursor is at its beginning."""

    def __init__(self, stream: TextIO, text: str) -> None:
        self._stream, self._shown = stream, True
        stream.write(f"{text}\r")
        stream.flush()

    def erase(self) -> None:
        if self._shown:
            self._shown = False
            self._stream.write("\x1b[K")
            self._stream.flush()


class _ErasingFirst:
    """A stream that erases the start line before it writes to the same terminal."""

    def __init__(self, stream: TextIO, line: _StartLine) -> None:
        self._stream, self._line = stream, line

    def write(self, text: str) -> int:
        if text and self._stream.isatty():
            self._line.erase()
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class EscapeFilter(logging.Filter):
    """Escapes the arguments of log records, which come from data, and what is hidden in the rest."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Escape a record; all records pass."""
        if isinstance(record.args, tuple):
            record.args = tuple(_escaped(value) for value in record.args)
        elif record.args:
            record.args = {name: _escaped(value) for name, value in record.args.items()}
        record.msg, record.args = visible(record.getMessage()), ()
        if record.exc_info and not record.exc_text:
            record.exc_text = visible(logging.Formatter().formatException(record.exc_info))
        return True


def escape_logs() -> None:
    """Escape the records of all handlers of the root logger."""
    for handler in logging.getLogger().handlers:
        if not any(isinstance(one, EscapeFilter) for one in handler.filters):
            handler.addFilter(EscapeFilter())


def _escaped(value: object) -> object:
    return value if isinstance(value, bool | int | float) or value is None else terminal(value)
