"""Start worker processes, and run a function in them with bounded memory.

Processes that are not forked import the caller's main script by default, so a script that is not protected by
``if __name__ == "__main__":`` would start again in each of them. Ours do not import it.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import resource_tracker
from multiprocessing.context import (
    BaseContext,
    ForkServerContext,
    ForkServerProcess,
    SpawnContext,
    SpawnProcess,
)
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Any, TypeVar

import cv2

from heritage.core.signals import leave_signals_to_parent, signals_blocked
from heritage.errors import DataError

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 4  # items in flight for each process
_starting = threading.Lock()


def map_in_processes(work: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """Yield ``work(item)`` for each item, in order of completion.

    The processes end with this one, even if it is killed.

    Args:
        work: A function that can be pickled.
        items: The items, consumed only as fast as they are processed.
        workers: Number of processes; up to 1 runs in this process.

    Raises:
        DataError: A worker process died.
    """
    if workers <= 1:
        yield from map(work, items)
        return
    # Not fork: it can hang with the threads of Arrow and OpenCV.
    from_script = b"__main__" in pickle.dumps(work)
    context = multiprocessing.get_context("spawn") if from_script else _SpawnContext()
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_initialize) as pool:
        try:
            yield from _in_flight(pool, work, iter(items), workers * _AHEAD)
        except BrokenProcessPool as error:
            raise DataError(
                "a process died (it may have run out of memory)",
                where="worker processes",
                remedy="start again with fewer workers: finished items are kept",
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def loader_context() -> BaseContext | None:
    """Return the context in which a data loader starts its workers; None is the default, if it forks."""
    # The first method is the default. get_start_method() alone would fix it for the caller's program.
    method = multiprocessing.get_start_method(allow_none=True) or multiprocessing.get_all_start_methods()[0]
    contexts: dict[str, BaseContext] = {"spawn": _SpawnContext(), "forkserver": _ForkServerContext()}
    return contexts.get(method)


def available_cores() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _HiddenMain(ModuleType):
    """Replaces the main module while a process starts: without a file, Python does not import it there.

    Pickling an object of the main script fails in the thread that starts the process.
    """

    def __init__(self, main: ModuleType) -> None:
        super().__init__("__main__")
        self._main, self._thread = main, threading.get_ident()

    def __getattr__(self, name: str) -> Any:
        if name == "__file__" or threading.get_ident() == self._thread:
            raise AttributeError(name)
        return getattr(self._main, name)


@contextlib.contextmanager
def _hidden_main() -> Iterator[None]:
    with _starting:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = _HiddenMain(main)
        try:
            yield
        finally:
            sys.modules["__main__"] = main


class _Process(BaseProcess):
    def start(self) -> None:
        try:
            with _hidden_main():
                super().start()
        except (pickle.PicklingError, AttributeError):  # a class of the script itself: import it, as usual
            super().start()


class _SpawnProcess(_Process, SpawnProcess):
    pass


class _ForkServerProcess(_Process, ForkServerProcess):
    pass


class _SpawnContext(SpawnContext):
    Process = _SpawnProcess


class _ForkServerContext(ForkServerContext):
    Process = _ForkServerProcess


def _in_flight(
    pool: ProcessPoolExecutor, work: Callable[[Item], Result], items: Iterator[Item], most: int
) -> Iterator[Result]:
    resource_tracker.ensure_running()  # unblocks signals when it starts
    with signals_blocked():  # the first item starts the processes
        pending: set[Future[Result]] = {pool.submit(work, item) for item in islice(items, 1)}
    pending |= {pool.submit(work, item) for item in islice(items, most - 1)}
    while pending:
        done, pending = wait(pending, return_when=FIRST_COMPLETED)
        pending |= {pool.submit(work, item) for item in islice(items, len(done))}
        for future in done:
            yield future.result()


def _initialize() -> None:
    cv2.setNumThreads(0)
    leave_signals_to_parent()
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    # After a kill -9 of the parent the workers would wait for work forever.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
