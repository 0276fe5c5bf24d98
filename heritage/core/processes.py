"""Run a function in worker processes, with bounded memory."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import resource_tracker
from typing import TypeVar

import cv2

from heritage.core.signals import leave_signals_to_parent, signals_blocked
from heritage.errors import DataError

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 4  # items in flight for each process


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
    context = multiprocessing.get_context("spawn")
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


def available_cores() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
