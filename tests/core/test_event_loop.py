"""Functions with an event loop of their own run in notebooks, whose loop is running."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from pathlib import Path

import pytest

import heritage
from heritage.core.event_loop import interrupting, outside_of_loop


def test_without_a_running_loop_the_function_runs_in_this_thread() -> None:
    assert outside_of_loop(threading.current_thread) is threading.main_thread()


def test_in_a_running_loop_the_function_may_run_its_own() -> None:
    async def inner() -> int:
        return 3

    async def notebook() -> int:
        return outside_of_loop(lambda: asyncio.run(inner()))

    assert asyncio.run(notebook()) == 3


def test_an_exception_reaches_the_caller() -> None:
    def fail() -> None:
        raise ValueError("inside")

    async def notebook() -> None:
        outside_of_loop(fail)

    with pytest.raises(ValueError, match="inside"):
        asyncio.run(notebook())


@pytest.mark.parametrize("in_notebook", [False, True])
def test_ctrl_c_stops_the_inner_loop(*, in_notebook: bool) -> None:
    async def inner() -> str:
        stopped = asyncio.Event()
        with interrupting(stopped.set):
            main = threading.main_thread().ident or 0
            threading.Timer(0.1, signal.pthread_kill, [main, signal.SIGINT]).start()
            await asyncio.wait_for(stopped.wait(), 10)
        return "stopped"

    async def notebook() -> str:
        # asyncio.run would cancel its task on Ctrl-C; a notebook's kernel raises KeyboardInterrupt.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        return outside_of_loop(lambda: asyncio.run(inner()))

    before = signal.getsignal(signal.SIGINT)
    started = time.monotonic()
    try:
        assert asyncio.run(notebook() if in_notebook else inner()) == "stopped"
    finally:
        signal.signal(signal.SIGINT, before)
    assert time.monotonic() - started < 5


def test_a_notebook_collects_from_a_museum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    async def notebook() -> heritage.RunResult:
        return heritage.run("collect", source="demo", source__images=60, quiet=True)

    result = asyncio.run(notebook())
    assert result.folder is not None
    assert (result.folder / "manifest.parquet").is_file()
