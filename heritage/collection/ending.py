"""What ends a run from below: a museum that wants no more, a full disk, a ledger that cannot be written."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator

from heritage.errors import CollectionError


@contextlib.contextmanager
def one_error() -> Iterator[None]:
    """Turn what the disk, the ledger or a group of tasks raises into one error that says what to do.

    Raises:
        CollectionError: The first of what was raised.
    """
    try:
        yield
    except* (CollectionError, OSError, sqlite3.Error) as faults:
        raise _told(_first(faults)) from None


def is_the_museums(fault: BaseException) -> bool:
    """Tell whether a museum ended the run, and not the disk or the ledger: what was collected is whole."""
    return isinstance(_first(fault), CollectionError)


def _first(fault: BaseException) -> BaseException:
    while isinstance(fault, BaseExceptionGroup):
        fault = fault.exceptions[0]
    return fault


def _told(fault: BaseException) -> BaseException:
    if isinstance(fault, OSError):
        said = fault.strerror or str(fault)
        return CollectionError(said, where=fault.filename, remedy="make room on the disk, or set folder=…")
    if isinstance(fault, sqlite3.Error):
        return CollectionError(f"the ledger cannot be used ({fault})", remedy="make room on the disk")
    return fault
