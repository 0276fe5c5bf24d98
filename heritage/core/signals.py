"""Signals that stop a command: Ctrl-C, and SIGTERM as `timeout`, batch systems and a shutdown send it.

They may reach every process of a group or job. The main process decides when to stop; worker processes go on
until it closes them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any

from heritage.core import early_signals

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_BATCH_SIGNALS = (signal.SIGUSR1, signal.SIGUSR2)
_IMPORT_INTERVAL = 0.05  # seconds between two attempts to stop during an import
_REPEATED_WITHIN = 0.2  # seconds; `timeout` sends each signal to the process and once more to its group


class Terminated(KeyboardInterrupt):
    """SIGTERM stopped the command."""

    def __str__(self) -> str:
        return "stopped by SIGTERM"


class RepeatFilter:
    """Recognises a signal that is sent twice at once, which is one wish to stop and not two."""

    def __init__(self) -> None:
        self._last = -1.0

    def is_repeated(self) -> bool:
        """Return whether the previous call was a moment ago."""
        last, self._last = self._last, time.monotonic()
        return self._last - last < _REPEATED_WITHIN


@contextlib.contextmanager
def stopped_in_one_line(name: str) -> Iterator[None]:
    """Handle the signals while the block runs, from before anything slow is imported.

    A signal raises KeyboardInterrupt or `Terminated`. While a module is being imported, where an exception
    may surface as anything, it waits for the end of the import; before the command has begun to write
    (`work_begins`) the process ends at once instead, with a line and exit code 130 or 143.

    Args:
        name: The command, for the line.
    """
    global _working
    _working = False
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    repeats = RepeatFilter()

    def handle(number: int, frame: FrameType | None) -> None:
        if _is_importing(frame):
            if not _working:
                exit_while_starting(name, number)
            later = threading.Timer(_IMPORT_INTERVAL, os.kill, (os.getpid(), number))
            later.daemon = True
            later.start()
        elif not repeats.is_repeated():
            raise KeyboardInterrupt if number == signal.SIGINT else Terminated

    usual: dict[int, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    # Not where somebody has chosen otherwise: a background job of a script ignores Ctrl-C.
    before = {
        number: handler
        for number in usual
        if (handler := signal.getsignal(number)) in (usual[number], early_signals.stop_at_once)
    }
    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        early_signals.command_ended()


def work_begins() -> None:
    """Record that the command writes from here on: a signal no longer ends it without cleaning up."""
    global _working
    _working = True


_working = False


def exit_while_starting(name: str, number: int) -> None:
    """End the process with a line and exit code 128 + the signal's number."""
    reason = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
    line = f"{name}: stopped by {reason} while starting; run the same command again\n"
    os.write(sys.stderr.fileno(), line.encode())
    os._exit(128 + number)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


@contextlib.contextmanager
def signals_blocked() -> Iterator[None]:
    """Block the signals in this thread while it starts worker processes, which inherit that."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (*SIGNALS, *_BATCH_SIGNALS))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_signals_to_parent() -> None:
    """Let this worker process go on at any signal to stop, unless its parent sends SIGTERM to close it."""
    for number in (signal.SIGINT, *_BATCH_SIGNALS):
        signal.signal(number, signal.SIG_IGN)
    if not hasattr(signal, "sigwaitinfo"):
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    threading.Thread(target=_exit_if_parent_asks, args=(os.getppid(),), daemon=True).start()


def _exit_if_parent_asks(parent: int) -> None:
    while signal.sigwaitinfo([signal.SIGTERM]).si_pid != parent:
        continue
    os._exit(0)
