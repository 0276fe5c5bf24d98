"""Signals that reach a command before its modules are imported: one line instead of a traceback.

`heritage` imports this first of all if the process is a command, so it imports nothing that takes time.
"""

from __future__ import annotations

# The module `signal` without its enumerations, whose import takes milliseconds.
import _signal  # type: ignore[import-not-found]
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

_REASONS = {_signal.SIGINT: "Ctrl-C", _signal.SIGTERM: "SIGTERM"}
_WITH_VALUE = ("-X", "-W", "--check-hash-based-pycs")  # options of Python
_USUAL = {_signal.SIGINT: _signal.default_int_handler, _signal.SIGTERM: _signal.SIG_DFL}


def command_name(arguments: list[str]) -> str | None:
    """Return the command that a process was started for; None if Python was started for something else.

    Args:
        arguments: The process's arguments, as in `sys.orig_argv`.

    Example:
        >>> command_name(["python", "-m", "heritage.train", "model=vit"])
        'heritage train'
        >>> command_name(["python", ".venv/bin/heritage", "predict"])
        'heritage predict'
        >>> command_name(["python", "-m", "pytest"])
    """
    words = iter(arguments[1:])
    for word in words:
        if word == "-m":
            module = next(words, "")
            if module.startswith("heritage."):
                return module.replace(".", " ", 1)
            return " ".join(["heritage", *words][:2]) if module == "heritage" else None
        if word in _WITH_VALUE:
            next(words, None)
        elif not word.startswith("-"):
            ours = word.rpartition("/")[2] == "heritage"
            return " ".join(["heritage", *words][:2]) if ours else None
    return None


def install() -> None:
    """Handle the signals from here on, if the process is a command and nobody has chosen otherwise."""
    if command_name(sys.orig_argv) is None:
        return
    for number, usual in _USUAL.items():
        if _signal.getsignal(number) is usual:
            _signal.signal(number, stop_at_once)


def stop_at_once(number: int, frame: FrameType | None) -> None:
    """End the process with a line and exit code 128 + the signal's number."""
    name = command_name(sys.orig_argv) or "heritage"
    os.write(2, f"{name}: stopped by {_REASONS[number]} {_when}\n".encode())
    os._exit(128 + number)


def command_ended() -> None:
    """Change the line for a signal that comes after the command, while Python ends."""
    global _when
    _when = "while ending"


_when = "while starting; run the same command again"
