"""Worker processes: they do not import the caller's main script, unless what they run is defined there."""

from __future__ import annotations

import multiprocessing
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from heritage.core import processes
from heritage.core.processes import loader_context, map_in_processes


@pytest.fixture
def runs_of_main(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file that gets a line for each process that imports the main script."""
    log, script = tmp_path / "log", tmp_path / "script.py"
    log.touch()
    script.write_text(
        f"import os\nwith open({str(log)!r}, 'a') as log:\n    print(os.getpid(), file=log)\n"
        "def double(value):\n    return 2 * value\n"
    )
    main = ModuleType("__main__")
    exec(compile(script.read_text(), script, "exec"), main.__dict__)  # noqa: S102  the script above
    main.__file__ = str(script)
    monkeypatch.setitem(sys.modules, "__main__", main)
    return log


def test_a_pool_does_not_run_the_script_again(runs_of_main: Path) -> None:
    assert sorted(map_in_processes(abs, [-1, -2, -3], workers=2)) == [1, 2, 3]
    assert runs_of_main.read_text().split() == [str(os.getpid())]
    assert isinstance(sys.modules["__main__"].__file__, str), "the main module is back"


def test_a_function_of_the_script_itself_needs_the_script(runs_of_main: Path) -> None:
    double = sys.modules["__main__"].double
    double.__module__ = "__main__"
    assert list(map_in_processes(double, [4], workers=2)) == [8]
    assert len(runs_of_main.read_text().split()) >= 2


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_workers_of_a_loader_do_not_run_the_script_again(
    method: str, runs_of_main: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multiprocessing, "get_start_method", lambda allow_none: method)
    context: Any = loader_context()
    assert context.get_start_method() == method
    process = context.Process(target=os.getpid)
    process.start()
    process.join()
    assert process.exitcode == 0
    assert runs_of_main.read_text().split() == [str(os.getpid())]


def test_forked_workers_are_left_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multiprocessing, "get_start_method", lambda allow_none: "fork")
    assert loader_context() is None


def test_other_threads_see_the_main_module_while_a_process_starts(runs_of_main: Path) -> None:
    hidden = processes._HiddenMain(sys.modules["__main__"])
    with pytest.raises(AttributeError):
        _ = hidden.double
    hidden._thread = 0
    assert hidden.double(3) == 6
    with pytest.raises(AttributeError):
        _ = hidden.__file__
