"""Run an event loop where another one may be running already, as in notebooks."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from heritage.core.signals import SIGNALS

Result = TypeVar("Result")

_interrupts: list[Callable[[], object]] = []
"""What Ctrl-C calls while the main thread waits for a loop in another one."""


def outside_of_loop(function: Callable[[], Result], stop: Callable[[], object] | None = None) -> Result:
    """Call a function that runs an event loop of its own: in a thread if this thread's loop is running.

    Args:
        function: The function.
        stop: Ends the function's loop on Ctrl-C; `interrupting` is an alternative.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return function()
    with ThreadPoolExecutor(1, "event-loop") as pool:
        future = pool.submit(function)
        while True:
            try:
                return future.result()
            except KeyboardInterrupt:
                if future.done():
                    raise
                for call in [*_interrupts, *([stop] if stop else [])]:
                    call()


@contextlib.contextmanager
def interrupting(callback: Callable[[], None]) -> Iterator[None]:
    """Call a function of the running loop on Ctrl-C and SIGTERM while the block runs.

    Only the main thread receives signals; in another one, `outside_of_loop` passes Ctrl-C on.
    """
    loop = asyncio.get_running_loop()
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            loop.add_signal_handler(number, callback)
        try:
            yield
        finally:
            for number in SIGNALS:
                loop.remove_signal_handler(number)
        return

    def call() -> None:
        loop.call_soon_threadsafe(callback)

    _interrupts.append(call)
    try:
        yield
    finally:
        _interrupts.remove(call)
